// Where things lie in an example that zeros surround, so that no kernel has to ask what is inside.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace populace {

using Numbers = std::vector<int64_t>;

// All sums of one number of each list, the last list fastest.
inline Numbers sums(const std::vector<Numbers>& lists) {
  Numbers all{0};
  for (const Numbers& list : lists) {
    Numbers more;
    more.reserve(all.size() * list.size());
    for (int64_t a : all)
      for (int64_t b : list) more.push_back(a + b);
    all.swap(more);
  }
  return all;
}

// begin, begin + step, ...
inline Numbers steps(int64_t count, int64_t step, int64_t begin = 0) {
  Numbers list(count);
  for (int64_t i = 0; i < count; ++i) list[i] = begin + i * step;
  return list;
}

// From one entry of each axis to the next, where `sizes` and then `inner` numbers follow one another.
inline Numbers strides(const Numbers& sizes, int64_t inner) {
  Numbers found(sizes.size());
  for (size_t a = sizes.size(); a-- > 0; inner *= sizes[a]) found[a] = inner;
  return found;
}

// Memory that a thread keeps for its next task.
template <class T>
T* scratch(int which, int64_t count) {
  thread_local std::vector<T> kept[2];
  if (int64_t(kept[which].size()) < count) kept[which].resize(count);
  return kept[which].data();
}

// An example (sizes..., channels) with zeros before and behind each axis.
struct Padded {
  Numbers sizes, low, high, whole, step;
  int64_t channels, count;
  bool bare;  // there are no zeros

  Padded(Numbers of, Numbers before, Numbers behind, int64_t channels)
      : sizes(std::move(of)), low(std::move(before)), high(std::move(behind)), whole(sizes), channels(channels) {
    bare = true;
    for (size_t a = 0; a < sizes.size(); ++a) {
      whole[a] += low[a] + high[a];
      bare &= whole[a] == sizes[a];
    }
    step = strides(whole, channels);
    count = step[0] * whole[0];
  }

  // Return the padded example: the example itself where there are no zeros, else a copy in the thread's scratch.
  template <class T>
  const T* of(const T* example) const {
    if (bare) return example;
    T* to = scratch<T>(0, count);
    const size_t last = sizes.size() - 1;
    const int64_t before = low[last] * channels, row = sizes[last] * channels, behind = high[last] * channels;
    Numbers index(last, 0);
    for (T* end = to + count; to < end; to += before + row + behind) {
      bool inside = true;
      for (size_t a = 0; a < last; ++a) inside &= index[a] >= low[a] && index[a] < low[a] + sizes[a];
      if (inside) {
        std::memset(to, 0, before * sizeof(T));
        std::memcpy(to + before, example, row * sizeof(T));
        std::memset(to + before + row, 0, behind * sizeof(T));
        example += row;
      } else {
        std::memset(to, 0, (before + row + behind) * sizeof(T));
      }
      for (size_t a = last; a-- > 0 && ++index[a] == whole[a];) index[a] = 0;
    }
    return scratch<T>(0, count);
  }
};

}  // namespace populace
