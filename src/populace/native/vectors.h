// Vectors of the compiler's own kind, their width a parameter. Included by kernels.cc, inside its namespace.

#ifndef POPULACE_VECTOR
#define POPULACE_VECTOR 32
#endif
#ifdef __AVX512VL__
constexpr bool kManyRegisters = true;  // 32, else 16
#else
constexpr bool kManyRegisters = false;
#endif

constexpr int kLeast = 32;                // bytes of a vector of short rows and few channels
constexpr int kWidest = POPULACE_VECTOR;  // bytes of the widest that the processor has

template <class T, int Bytes = kLeast>
struct Vector {
  typedef T value __attribute__((vector_size(Bytes)));
  typedef T anywhere __attribute__((vector_size(Bytes), aligned(alignof(T)), may_alias));
};

template <class T, int Bytes = kLeast>
constexpr int kLanes = Bytes / sizeof(T);

// x, but not below `low` nor above `high`; not a number stays.
template <class T, int Bytes>
inline typename Vector<T, Bytes>::value clamp(typename Vector<T, Bytes>::value x, T low, T high) {
  using V = typename Vector<T, Bytes>::value;
#ifdef __AVX512VL__
  if constexpr (sizeof(T) == 4 && Bytes == 64) {  // masks, since GCC takes the plain ones for uninitialized
    const __m512 least = _mm512_maskz_min_ps(0xffff, _mm512_set1_ps(high), (__m512)x);
    return (V)_mm512_maskz_max_ps(0xffff, _mm512_set1_ps(low), least);
  }
#endif
  return x > high ? V{} + high : x < low ? V{} + low : x;
}

// The first `width` numbers from there, and zeros.
template <class T, int Bytes = kWidest>
inline typename Vector<T, Bytes>::value load(const T* from, int64_t width) {
  using V = typename Vector<T, Bytes>::value;
  using U = typename Vector<T, Bytes>::anywhere;
  if (width >= kLanes<T, Bytes>) return *reinterpret_cast<const U*>(from);
#ifdef __AVX512VL__
  if constexpr (sizeof(T) == 4) {
    const uint32_t lanes = (1u << width) - 1;
    if constexpr (Bytes == 64) return (V)_mm512_maskz_loadu_ps(__mmask16(lanes), from);
    else return (V)_mm256_maskz_loadu_ps(__mmask8(lanes), from);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4 && Bytes == 32) {
    const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (V)_mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(int(width)), places));
  }
#endif
  V all{};
  for (int64_t c = 0; c < width; ++c) all[c] = from[c];
  return all;
}

// Write the first `width` numbers of a vector, and nothing behind them.
template <class T, int Bytes = kWidest>
inline void store(T* to, typename Vector<T, Bytes>::value all, int64_t width) {
  using U = typename Vector<T, Bytes>::anywhere;
  if (width >= kLanes<T, Bytes>) {
    *reinterpret_cast<U*>(to) = all;
    return;
  }
#ifdef __AVX512VL__
  if constexpr (sizeof(T) == 4) {
    const uint32_t lanes = (1u << width) - 1;
    if constexpr (Bytes == 64) _mm512_mask_storeu_ps(to, __mmask16(lanes), (__m512)all);
    else _mm256_mask_storeu_ps(to, __mmask8(lanes), (__m256)all);
    return;
  }
#endif
  // By pieces of half a vector, a quarter and so on: one number after the other takes as long as the sum itself.
  const T* from = reinterpret_cast<const T*>(&all);
#pragma GCC unroll 4
  for (int64_t piece = kLanes<T, Bytes> / 2; piece; piece /= 2)
    if (width & piece) __builtin_memcpy(to, from, piece * sizeof(T)), to += piece, from += piece;
}
