// Convolution without patches. Included by kernels.cc, inside its namespace.
//
// A tile of the result stays in registers, a few places by two vectors of channels, while what the taps see is
// read where it lies: nothing is copied together first, and each number that is read is used a dozen times.

template <class T, int Places, int Vectors>
inline void places_tile(const Convolve<T>& s, const T* weight, int64_t first, int64_t count, int64_t channel,
                        int64_t width) {
  using V = typename Vector<T>::value;
  using U = typename Vector<T>::anywhere;
  constexpr int L = kLanes<T>;
  V total[Places][Vectors];
  const T* from[Places];
#pragma GCC unroll 8
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
#pragma GCC unroll 8
    for (int b = 0; b < Places; ++b) {
      const T value = from[b][offset];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) total[b][v] += value * w[v];
    }
  }
#pragma GCC unroll 8
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
  constexpr int L = kLanes<T>;
  constexpr int64_t kBlock = 384;  // places whose entries stay in the cache while all channels are computed
  for (int64_t begin = places.begin; begin < places.end; begin += kBlock) {
    const int64_t end = std::min(places.end, begin + kBlock);
    const T* weight = s.weight;
    for (int64_t o = 0; o < s.channels; o += 2 * L) {
      const int64_t width = std::min<int64_t>(2 * L, s.channels - o);
      if (width > L) {
        for (int64_t p = begin; p < end; p += 6)
          places_tile<T, 6, 2>(s, weight, p, std::min<int64_t>(6, end - p), o, width);
        weight += 2 * L * s.rows;
      } else {
        for (int64_t p = begin; p < end; p += 8)
          places_tile<T, 8, 1>(s, weight, p, std::min<int64_t>(8, end - p), o, width);
      }
    }
  }
}

template <class T, int Rows, int Vectors>
inline void rows_tile(const Correlate<T>& s, Range places, int64_t first, int64_t count, int64_t channel) {
  using V = typename Vector<T>::value;
  using U = typename Vector<T>::anywhere;
  constexpr int L = kLanes<T>;
  V total[Rows][Vectors];
  const T* from[Rows];
#pragma GCC unroll 8
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
#pragma GCC unroll 8
    for (int b = 0; b < Rows; ++b) {
      const T value = from[b][at];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) total[b][v] += value * g[v];
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < Rows; ++b) {
    if (b >= count) break;
    U* to = reinterpret_cast<U*>(s.weight + (first + b) * s.channels + channel);
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) to[v] += total[b][v];
  }
}

template <class T>
void correlate(const Correlate<T>& s, Range rows) {
  constexpr int L = kLanes<T>;
  constexpr int64_t kBlock = 256;  // places whose entries stay in the cache while all rows are computed
  for (int64_t begin = 0; begin < s.places; begin += kBlock) {
    const Range block{begin, std::min(s.places, begin + kBlock)};
    for (int64_t o = 0; o < s.channels; o += 2 * L) {
      if (s.channels - o > L) {
        for (int64_t r = rows.begin; r < rows.end; r += 6)
          rows_tile<T, 6, 2>(s, block, r, std::min<int64_t>(6, rows.end - r), o);
      } else {
        for (int64_t r = rows.begin; r < rows.end; r += 8)
          rows_tile<T, 8, 1>(s, block, r, std::min<int64_t>(8, rows.end - r), o);
      }
    }
  }
}
