// The weighted sum over compressed rows. Included by kernels.cc, inside its namespace.
//
// A tile of the result stays in registers while the edges of its row are added up: up to 8 vectors of 32 bytes,
// of one long row, or of up to 8 short ones that belong to different members or heads. What members share,
// the edges, is so read once for several, and a row's end, which no processor foresees, comes as often less.

constexpr int kVectors = 8;  // accumulators, of 16 registers
constexpr int kAhead = 6;    // edges whose long rows are fetched before they are needed

template <class T>
inline void store(T* to, const typename Vector<T>::value& v, [[maybe_unused]] bool stream) {
#ifdef __AVX__
  if (stream && reinterpret_cast<uintptr_t>(to) % 32 == 0) {
    __m256i bits;
    __builtin_memcpy(&bits, &v, 32);
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), bits);
    return;
  }
#endif
  *reinterpret_cast<typename Vector<T>::anywhere*>(to) = v;
}

// From one of the short rows of a tile to the next.
struct Steps {
  int64_t weight, x, y;
};

// Add up the edges of row i for `Rows` short rows of `Vectors` vectors each; `last` lanes of the last one count.
template <class T, int Many, int Vectors, bool Weighted>
inline void tile(const Sum<T>& s, int64_t i, const T* weight, const T* x, T* y, Steps steps, int last) {
  using V = typename Vector<T>::value;
  using U = typename Vector<T>::anywhere;
  constexpr int L = kLanes<T>;
  const int64_t width = s.heads * s.features;
  V total[Many][Vectors];
  for (int b = 0; b < Many; ++b)
    for (int v = 0; v < Vectors; ++v) total[b][v] = V{};
  const T* safe = s.x_end - ((Many - 1) * steps.x + Vectors * L);  // what starts here ends within x
  const int32_t* order = s.rows.order;
  const int32_t end = s.rows.offsets[i + 1];
  for (int32_t p = s.rows.offsets[i]; p < end; ++p) {
    if (Many == 1 && Vectors == kVectors && p + kAhead < s.rows.offsets[s.count]) {
      const T* ahead = x + s.rows.columns[p + kAhead] * width;
      for (int v = 0; v < Vectors; v += 2) __builtin_prefetch(ahead + v * L);
    }
    const T* row = x + s.rows.columns[p] * width;
    const T* w = Weighted ? weight + ((order ? order[p] : p) - s.first) * s.heads : nullptr;
    if (__builtin_expect(row > safe, 0)) {
      for (int b = 0; b < Many; ++b)
        for (int v = 0; v < Vectors; ++v) {
          V value = {};
          const int lanes = v + 1 < Vectors ? L : last;
          __builtin_memcpy(&value, row + b * steps.x + v * L, lanes * sizeof(T));
          total[b][v] += Weighted ? w[b * steps.weight] * value : value;
        }
      continue;
    }
#pragma GCC unroll 8
    for (int b = 0; b < Many; ++b) {
      const T* short_row = row + b * steps.x;
      const T factor = Weighted ? w[b * steps.weight] : T(1);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        const V value = *reinterpret_cast<const U*>(short_row + v * L);
        total[b][v] += Weighted ? factor * value : value;
      }
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < Many; ++b)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      T* to = y + i * width + b * steps.y + v * L;
      if (v + 1 < Vectors || last == L) {
        store<T>(to, total[b][v], s.stream);
      } else {
        for (int k = 0; k < last; ++k) to[k] = total[b][v][k];
      }
    }
}

template <class T, int Many, int Vectors, bool Weighted>
void tiles(const Sum<T>& s, const T* weight, const T* x, T* y, Steps steps, Range rows, int64_t length) {
  constexpr int L = kLanes<T>;
  const int64_t whole = Many == 1 ? (length - 1) / (kVectors * L) : 0;
  const int64_t done = whole * kVectors * L;
  const int last = static_cast<int>(length - done - (Vectors - 1) * L);
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    if (Many == 1)
      for (int64_t f = 0; f < done; f += kVectors * L)
        tile<T, 1, kVectors, Weighted>(s, i, weight, x + f, y + f, steps, L);
    tile<T, Many, Vectors, Weighted>(s, i, weight, x + done, y + done, steps, last);
  }
}

template <class T, bool Weighted>
void sum_of(const Sum<T>& s, Range members, Range rows, Range features) {
  constexpr int L = kLanes<T>;
  const int64_t length = features.end - features.begin;
  if (length <= 0) return;
  // Short rows go together: those of several heads if there are, else those of several members.
  const bool by_heads = s.heads > 1;
  const int64_t inner = by_heads ? s.heads : members.end - members.begin;
  const int64_t outer = by_heads ? members.end - members.begin : 1;
  const Steps steps = by_heads ? Steps{1, s.features, s.features} : Steps{s.weight_stride, s.x_stride, s.y_stride};
  const int64_t vectors = (length + L - 1) / L;
  for (int64_t o = 0; o < outer; ++o) {
    const int64_t m = members.begin + o;
    for (int64_t k = 0; k < inner;) {
      const T* weight = Weighted ? s.weight + m * s.weight_stride + k * steps.weight : nullptr;
      const T* x = s.x + m * s.x_stride + k * steps.x + features.begin;
      T* y = s.y + m * s.y_stride + k * steps.y + features.begin;
      const int64_t left = inner - k;
#define POPULACE_TILES(MANY, VECTORS)                                             \
  tiles<T, MANY, VECTORS, Weighted>(s, weight, x, y, steps, rows, length), k += MANY
      if (vectors == 1 && left >= 8) POPULACE_TILES(8, 1);
      else if (vectors == 1 && left >= 4) POPULACE_TILES(4, 1);
      else if (vectors == 2 && left >= 4) POPULACE_TILES(4, 2);
      else if (vectors == 1 && left >= 2) POPULACE_TILES(2, 1);
      else if (vectors == 2 && left >= 2) POPULACE_TILES(2, 2);
      else if (vectors == 3 && left >= 2) POPULACE_TILES(2, 3);
      else if (vectors == 4 && left >= 2) POPULACE_TILES(2, 4);
      else switch ((vectors - 1) % kVectors + 1) {
        case 1: POPULACE_TILES(1, 1); break;
        case 2: POPULACE_TILES(1, 2); break;
        case 3: POPULACE_TILES(1, 3); break;
        case 4: POPULACE_TILES(1, 4); break;
        case 5: POPULACE_TILES(1, 5); break;
        case 6: POPULACE_TILES(1, 6); break;
        case 7: POPULACE_TILES(1, 7); break;
        default: POPULACE_TILES(1, 8); break;
      }
#undef POPULACE_TILES
    }
  }
}

template <class T>
void sum(const Sum<T>& s, Range members, Range rows, Range features) {
  (s.weight ? sum_of<T, true> : sum_of<T, false>)(s, members, rows, features);
#ifdef __AVX__
  if (s.stream) _mm_sfence();
#endif
}
