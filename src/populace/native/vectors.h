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
