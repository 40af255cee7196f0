// Windows of series. Included by kernels.cc, inside its namespace.

// to[k] = from[k] - level
template <class T>
inline void copy_less(const T* from, int64_t count, T level, T* to) {
  constexpr int L = kLanes<T, kWidest>;
  for (int64_t k = 0; k < count; k += L) store<T>(to + k, load<T>(from + k, count - k) - level, count - k);
}

template <class T>
void windows(const Windows<T>& s, Range range) {
  for (int64_t i = range.begin; i < range.end; ++i) {
    const T* from = s.values + std::clamp<int64_t>(s.begins[i], 0, s.latest);
    const T level = s.less_last ? from[s.before - 1] : T(0);
    copy_less(from, s.before, level, s.history + i * s.before);
    copy_less(from + s.before, s.after, level, s.target + i * s.after);
  }
}
