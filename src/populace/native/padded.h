// Where things lie in an example that zeros surround, so that no kernel has to ask what is inside.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
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

// Memory for one task: a thread keeps a little for its next one, and gives back what is more.
template <class T>
class Scratch {
 public:
  T* of(int which, int64_t count) {
    constexpr int64_t kKept = (4 << 20) / sizeof(T);
    if (count > kKept) {
      own_[which].reset(new T[count]);
      return own_[which].get();
    }
    thread_local std::vector<T> kept[2];
    if (int64_t(kept[which].size()) < count) kept[which].resize(count);
    return kept[which].data();
  }

 private:
  std::unique_ptr<T[]> own_[2];
};

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

  // Return the padded example: the example itself where there are no zeros, else a copy in scratch. Only the entries
  // from begin to end - 1 are there, and what else stands in their rows of the last axis.
  template <class T>
  const T* of(const T* example, Scratch<T>& scratch, int64_t begin, int64_t end) const {
    if (bare || begin >= end) return example;
    const size_t last = sizes.size() - 1;
    const int64_t before = low[last] * channels, row = sizes[last] * channels, behind = high[last] * channels;
    const int64_t unit = before + row + behind, first = begin / unit, until = (end + unit - 1) / unit;
    T* const copy = scratch.of(0, (until - first) * unit);
    T* to = copy;
    for (int64_t number = first; number < until; ++number, to += unit) {
      bool inside = true;
      int64_t rest = number, from = 0, size = row;  // where the row stands in the example
      for (size_t a = last; a-- > 0; rest /= whole[a], size *= sizes[a]) {
        const int64_t index = rest % whole[a] - low[a];
        inside &= index >= 0 && index < sizes[a];
        from += index * size;
      }
      if (inside) {
        std::memset(to, 0, before * sizeof(T));
        std::memcpy(to + before, example + from, row * sizeof(T));
        std::memset(to + before + row, 0, behind * sizeof(T));
      } else {
        std::memset(to, 0, unit * sizeof(T));
      }
    }
    return copy - first * unit;
  }
};

}  // namespace populace
