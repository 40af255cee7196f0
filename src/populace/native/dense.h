// Dense layers of few units. Included by kernels.cc, inside its namespace.
//
// A tile of the result stays in registers, as in convolve.h; here both factors lie in rows at equal distances, so
// that nothing has to be looked up, and the whole vectors of the second are read where they lie. Every number is one
// sum in the order of the units, whatever the width of vectors.

// tanh by a quotient of polynomials on [-7.9, 7.9], where float32 is 1 beyond; Eigen's coefficients, as in XLA.
// Smaller than 4e-4 it is its argument.
template <class T, int Bytes>
struct Tanh {
  using V = typename Vector<T, Bytes>::value;
  V x, above, below;
  explicit Tanh(V given) {
    if constexpr (sizeof(T) == 8) {
      for (int k = 0; k < kLanes<T, Bytes>; ++k) x[k] = std::tanh(given[k]);
      above = x, below = V{} + T(1);
      return;
    }
    constexpr T kEnd = T(7.90531110763549805);
    constexpr T kOdd[] = {T(-2.76076847742355e-16), T(2.00018790482477e-13), T(-8.60467152213735e-11),
                          T(5.12229709037114e-08),  T(1.48572235717979e-05), T(6.37261928875436e-04),
                          T(4.89352455891786e-03)};
    constexpr T kEven[] = {T(1.19825839466702e-06), T(1.18534705686654e-04), T(2.26843463243900e-03),
                           T(4.89352518554385e-03)};
    x = clamp<T, Bytes>(given, -kEnd, kEnd);
    const V square = x * x;
    V odd = V{} + kOdd[0], even = V{} + kEven[0];
#pragma GCC unroll 8
    for (int k = 1; k < 7; ++k) odd = odd * square + kOdd[k];
#pragma GCC unroll 4
    for (int k = 1; k < 4; ++k) even = even * square + kEven[k];
    above = x * odd, below = even;
  }
  // The value, of the quotient of `above` and `below`.
  V of(V quotient) const {
    return x < T(4e-4) && x > T(-4e-4) ? x : quotient;
  }
};

template <class T, int Bytes>
inline typename Vector<T, Bytes>::value tanh_of(typename Vector<T, Bytes>::value x) {
  const Tanh<T, Bytes> parts(x);
  return parts.of(parts.above / parts.below);
}

template <class T, int Bytes, int Places, int Vectors>
inline void dense_tile(const Dense<T>& s, const T* w, int64_t w_row, int64_t first, int64_t channel, int64_t width) {
  using V = typename Vector<T, Bytes>::value;
  using U = typename Vector<T, Bytes>::anywhere;
  constexpr int L = kLanes<T, Bytes>;
  // Four rows to a pointer: a place of its own for each row would not fit into the registers.
  const T* x[(Places + 3) / 4];
#pragma GCC unroll 4
  for (int b = 0; b < Places; b += 4) x[b / 4] = s.x + (first + b) * s.x_row;
  V total[Places][Vectors];
#pragma GCC unroll 16
  for (int b = 0; b < Places; ++b)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) total[b][v] = V{};
  for (int64_t k = 0; k < s.units; ++k, w += w_row) {
    V each[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) each[v] = *reinterpret_cast<const U*>(w + v * L);
#pragma GCC unroll 16
    for (int b = 0; b < Places; ++b) {
      const T value = x[b / 4][b % 4 * s.x_row];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) total[b][v] += value * each[v];
    }
#pragma GCC unroll 4
    for (int b = 0; b < Places; b += 4) x[b / 4] += s.x_step;
  }
  V bias[Vectors] = {};
  if (s.bias) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) bias[v] = load<T, Bytes>(s.bias + channel + v * L, width - v * L);
  }
#pragma GCC unroll 16
  for (int b = 0; b < Places; ++b)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) total[b][v] += bias[v];
  if (s.activation == Activation::relu) {
#pragma GCC unroll 16
    for (int b = 0; b < Places; ++b)
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) total[b][v] = total[b][v] <= 0 ? V{} : total[b][v];  // not a number stays
  } else if (s.activation == Activation::tanh) {
#pragma GCC unroll 16
    for (int b = 0; b < Places; ++b)
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) total[b][v] = tanh_of<T, Bytes>(total[b][v]);
  }
  T* to = s.y + first * s.y_row + channel;
  if (s.add) {
#pragma GCC unroll 16
    for (int b = 0; b < Places; ++b)
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) total[b][v] += load<T, Bytes>(to + b * s.y_row + v * L, width - v * L);
  }
#pragma GCC unroll 16
  for (int b = 0; b < Places; ++b)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) store<T, Bytes>(to + b * s.y_row + v * L, total[b][v], width - v * L);
}

// All rows of some channels: as many whole tiles as there are, then what is left, so that nothing is computed twice.
template <class T, int Bytes, int Places, int Vectors>
inline void dense_rows(const Dense<T>& s, const T* w, int64_t w_row, Range rows, int64_t channel, int64_t width) {
  int64_t p = rows.begin;
  // The fewer rows a tile has, the longer it waits for its sums: better two times 8 than 12 and 4.
  for (; p + Places <= rows.end && !(Places == 12 && p + 16 == rows.end); p += Places)
    dense_tile<T, Bytes, Places, Vectors>(s, w, w_row, p, channel, width);
  if constexpr (Places > 8) {
    for (; p + 8 <= rows.end; p += 8) dense_tile<T, Bytes, 8, Vectors>(s, w, w_row, p, channel, width);
    for (; p + 6 <= rows.end; p += 6) dense_tile<T, Bytes, 6, Vectors>(s, w, w_row, p, channel, width);
  }
  for (; p + 4 <= rows.end; p += 4) dense_tile<T, Bytes, 4, Vectors>(s, w, w_row, p, channel, width);
  for (; p + 2 <= rows.end; p += 2) dense_tile<T, Bytes, 2, Vectors>(s, w, w_row, p, channel, width);
  if (p < rows.end) dense_tile<T, Bytes, 1, Vectors>(s, w, w_row, p, channel, width);
}

template <class T>
void dense(const Dense<T>& s, Range rows) {
  constexpr int L = kLanes<T, kWidest>;
  for (int64_t o = 0; o < s.channels;) {
    const int64_t tile = tile_channels(s.channels - o, L, kLanes<T>), width = std::min(tile, s.channels - o);
    const T* w = s.weight + o;
    int64_t w_row = s.weight_row;
    if (width < tile && s.room) {  // a vector would reach beyond the channels
      for (int64_t k = 0; k < s.units; ++k)
        for (int64_t c = 0; c < tile; ++c) s.room[k * tile + c] = c < width ? w[k * w_row + c] : T(0);
      w = s.room, w_row = tile;
    }
    if (tile == 2 * L) dense_rows<T, kWidest, kOfTwo, 2>(s, w, w_row, rows, o, width);
    else if (tile == L) dense_rows<T, kWidest, kOfOne, 1>(s, w, w_row, rows, o, width);
    else dense_rows<T, kLeast, kOfOne, 1>(s, w, w_row, rows, o, width);
    o += tile;
  }
}

// to[c, r] = from[r, c], with zeros from `rows` to the end of each row of `to`.
template <class T>
void transpose(const T* from, int64_t rows, int64_t columns, T* to, int64_t to_row) {
  int64_t r = 0;
#ifdef __AVX__
  if constexpr (sizeof(T) == 4) {
    for (; r + 8 <= rows; r += 8) {
      int64_t c = 0;
      for (; c + 8 <= columns; c += 8) {
        __m256 a[8], b[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(from + (r + i) * columns + c);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
          b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]), b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
          a[4 * i] = _mm256_shuffle_ps(b[4 * i], b[4 * i + 2], 0x44);
          a[4 * i + 1] = _mm256_shuffle_ps(b[4 * i], b[4 * i + 2], 0xee);
          a[4 * i + 2] = _mm256_shuffle_ps(b[4 * i + 1], b[4 * i + 3], 0x44);
          a[4 * i + 3] = _mm256_shuffle_ps(b[4 * i + 1], b[4 * i + 3], 0xee);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          _mm256_storeu_ps(to + (c + i) * to_row + r, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
          _mm256_storeu_ps(to + (c + i + 4) * to_row + r, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
        }
      }
      for (; c < columns; ++c)
        for (int i = 0; i < 8; ++i) to[c * to_row + r + i] = from[(r + i) * columns + c];
    }
  }
#endif
  for (; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) to[c * to_row + r] = from[r * columns + c];
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t k = rows; k < to_row; ++k) to[c * to_row + k] = T(0);
}

// The gradient before the activation, and its sum over rows.
template <class T>
void before_activation(const Before<T>& s) {
  if (s.activation == Activation::none) {  // the sum alone, which stays in a register
    constexpr int L = kLanes<T, kWidest>;
    for (int64_t o = 0; o < s.channels; o += L) {
      typename Vector<T, kWidest>::value total{};
      for (int64_t p = 0; p < s.rows; ++p) total += load<T>(s.g + p * s.channels + o, s.channels - o);
      store<T>(s.bias + o, total, s.channels - o);
    }
    return;
  }
  for (int64_t o = 0; o < s.channels; ++o) s.bias[o] = T(0);
  for (int64_t p = 0; p < s.rows; ++p) {
    const T *__restrict g = s.g + p * s.channels, *__restrict y = s.y + p * s.channels;
    T *__restrict to = s.to + p * s.channels, *__restrict bias = s.bias;
    if (s.activation == Activation::relu)
      for (int64_t o = 0; o < s.channels; ++o) bias[o] += to[o] = y[o] > 0 ? g[o] : T(0);
    else
      for (int64_t o = 0; o < s.channels; ++o) bias[o] += to[o] = g[o] * (1 - y[o] * y[o]);
  }
}
