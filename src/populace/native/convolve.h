// Convolution without patches. Included by kernels.cc, inside its namespace.
//
// A tile of the result stays in registers, a few places by two vectors of channels, while what the taps see is
// read where it lies: nothing is copied together first, and each number that is read is used a dozen times. With 32
// registers a tile has twice the places. Every number is one sum over the rows in their order, however wide the
// vectors are, so that processors that multiply and add in one step agree in every bit.

constexpr int kOfTwo = kManyRegisters ? 12 : 6;  // places, or rows, of a tile of two vectors
constexpr int kOfOne = kManyRegisters ? 16 : 8;

template <class T, int Bytes, int Places, int Vectors>
inline void places_tile(const Convolve<T>& s, const T* weight, int64_t first, int64_t count, int64_t channel,
                        int64_t width) {
  using V = typename Vector<T, Bytes>::value;
  using U = typename Vector<T, Bytes>::anywhere;
  constexpr int L = kLanes<T, Bytes>;
  V total[Places][Vectors];
  const T* from[Places];
#pragma GCC unroll 16
  for (int b = 0; b < Places; ++b) {
    from[b] = s.x + s.at[first + (b < count ? b : count - 1)];  // the last place again, where there are no more
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) total[b][v] = V{};
  }
  for (int64_t r = 0; r < s.rows; ++r) {
    const int64_t offset = s.row[r];
    V w[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) w[v] = *reinterpret_cast<const U*>(weight + (r * Vectors + v) * L);
#pragma GCC unroll 16
    for (int b = 0; b < Places; ++b) {
      const T value = from[b][offset];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) total[b][v] += value * w[v];
    }
  }
#pragma GCC unroll 16
  for (int b = 0; b < Places; ++b) {
    if (b >= count) break;
    T* to = s.y + s.to[first + b] + channel;
    if (width == Vectors * L) {
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) *reinterpret_cast<U*>(to + v * L) = total[b][v];
    } else {
      __builtin_memcpy(to, total[b], width * sizeof(T));
    }
  }
}

template <class T>
void convolve(const Convolve<T>& s, Range places) {
  constexpr int L = kLanes<T, kWidest>;
  constexpr int64_t kBlock = 384;  // places whose entries stay in the cache while all channels are computed
  for (int64_t begin = places.begin; begin < places.end; begin += kBlock) {
    const int64_t end = std::min(places.end, begin + kBlock);
    const T* weight = s.weight;
    for (int64_t o = 0; o < s.channels;) {
      const int64_t tile = tile_channels(s.channels - o, L, kLanes<T>), width = std::min(tile, s.channels - o);
      if (tile == 2 * L) {
        for (int64_t p = begin; p < end; p += kOfTwo)
          places_tile<T, kWidest, kOfTwo, 2>(s, weight, p, std::min<int64_t>(kOfTwo, end - p), o, width);
      } else if (tile == L) {
        for (int64_t p = begin; p < end; p += kOfOne)
          places_tile<T, kWidest, kOfOne, 1>(s, weight, p, std::min<int64_t>(kOfOne, end - p), o, width);
      } else {
        for (int64_t p = begin; p < end; p += kOfOne)
          places_tile<T, kLeast, kOfOne, 1>(s, weight, p, std::min<int64_t>(kOfOne, end - p), o, width);
      }
      weight += tile * s.rows;
      o += tile;
    }
  }
}

template <class T, int Bytes, int Rows, int Vectors>
inline void rows_tile(const Correlate<T>& s, Range places, int64_t first, int64_t count, int64_t channel) {
  using V = typename Vector<T, Bytes>::value;
  using U = typename Vector<T, Bytes>::anywhere;
  constexpr int L = kLanes<T, Bytes>;
  V total[Rows][Vectors];
  const T* from[Rows];
#pragma GCC unroll 16
  for (int b = 0; b < Rows; ++b) {
    from[b] = s.x + s.row[first + (b < count ? b : count - 1)];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) total[b][v] = V{};
  }
  const T* y = s.y + places.begin * s.y_step + channel;
  for (int64_t p = places.begin; p < places.end; ++p, y += s.y_step) {
    const int64_t at = s.at[p];
    V g[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) g[v] = *reinterpret_cast<const U*>(y + v * L);
#pragma GCC unroll 16
    for (int b = 0; b < Rows; ++b) {
      const T value = from[b][at];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) total[b][v] += value * g[v];
    }
  }
#pragma GCC unroll 16
  for (int b = 0; b < Rows; ++b) {
    if (b >= count) break;
    U* to = reinterpret_cast<U*>(s.weight + (first + b) * s.channels + channel);
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) to[v] += total[b][v];
  }
}

template <class T>
void correlate(const Correlate<T>& s, Range rows) {
  constexpr int L = kLanes<T, kWidest>;
  constexpr int64_t kBlock = 256;  // places whose entries stay in the cache while all rows are computed
  for (int64_t begin = 0; begin < s.places; begin += kBlock) {
    const Range block{begin, std::min(s.places, begin + kBlock)};
    for (int64_t o = 0; o < s.channels;) {
      const int64_t tile = tile_channels(s.channels - o, L, kLanes<T>);
      if (tile == 2 * L) {
        for (int64_t r = rows.begin; r < rows.end; r += kOfTwo)
          rows_tile<T, kWidest, kOfTwo, 2>(s, block, r, std::min<int64_t>(kOfTwo, rows.end - r), o);
      } else if (tile == L) {
        for (int64_t r = rows.begin; r < rows.end; r += kOfOne)
          rows_tile<T, kWidest, kOfOne, 1>(s, block, r, std::min<int64_t>(kOfOne, rows.end - r), o);
      } else {
        for (int64_t r = rows.begin; r < rows.end; r += kOfOne)
          rows_tile<T, kLeast, kOfOne, 1>(s, block, r, std::min<int64_t>(kOfOne, rows.end - r), o);
      }
      o += tile;
    }
  }
}
