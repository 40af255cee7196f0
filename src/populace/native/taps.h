// What the taps of a convolution see of an example that zeros surround, and what reaches an entry through them.
#pragma once

#include <algorithm>
#include <utility>

#include "kernels.h"
#include "padded.h"

namespace populace {

inline int64_t product(const Numbers& numbers) {
  int64_t all = 1;
  for (int64_t n : numbers) all *= n;
  return all;
}

inline int64_t floor_of(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// (members, batch, sizes..., ins), (members, taps..., ins / groups, outs), (members, batch, places..., outs)
struct Shape {
  int64_t members, batch, ins, outs, groups;
  Numbers sizes, taps, places, stride, dilation, before;

  size_t axes() const { return sizes.size(); }
  int64_t group_ins() const { return ins / groups; }
  int64_t group_outs() const { return outs / groups; }
  double work() const {
    return double(members * batch) * double(product(places)) * double(product(taps) * group_ins() * outs);
  }
};

// The input as the taps see it from the places.
inline Padded padded_input(const Shape& s) {
  Numbers behind(s.axes());
  for (size_t a = 0; a < s.axes(); ++a) {
    const int64_t last = (s.places[a] - 1) * s.stride[a] + (s.taps[a] - 1) * s.dilation[a] - s.before[a];
    behind[a] = std::max<int64_t>(0, last - (s.sizes[a] - 1));
  }
  return Padded(s.sizes, s.before, behind, s.ins);
}

// Where in the padded input the places begin, and, from there, what their taps and channels see.
inline std::pair<Numbers, Numbers> seen(const Shape& s, const Padded& input) {
  std::vector<Numbers> at, row;
  for (size_t a = 0; a < s.axes(); ++a) {
    at.push_back(steps(s.places[a], s.stride[a] * input.step[a]));
    row.push_back(steps(s.taps[a], s.dilation[a] * input.step[a]));
  }
  row.push_back(steps(s.group_ins(), 1));
  return {sums(at), sums(row)};
}

// A convolution's places that are reached by the same taps.
struct Phase {
  Numbers at, to, row;  // as in Convolve
  Numbers weight;       // where in the kernel each row stands

  // Which of its places fall to a part of so many.
  Range share(int64_t part, int64_t parts) const {
    const int64_t places = int64_t(at.size());
    return {places * part / parts, places * (part + 1) / parts};
  }
};

// The entries that the taps see from some places, of all channels.
inline Range reach(const Numbers& at, const Numbers& row, Range places, int64_t channels) {
  if (places.begin >= places.end || row.empty()) return {0, 0};
  const auto [near, far] = std::minmax_element(row.begin(), row.end());
  return {at[places.begin] + *near, at[places.end - 1] + *far + channels};  // places ascend
}

inline std::vector<Phase> phases_of_output(const Shape& s, const Padded& input) {
  auto [at, row] = seen(s, input);
  return {{at, steps(int64_t(at.size()), s.outs), row, steps(int64_t(row.size()), s.outs)}};
}

// The output's gradient as the entries of the input see it.
inline Padded padded_output(const Shape& s) {
  Numbers before(s.axes()), behind(s.axes());
  for (size_t a = 0; a < s.axes(); ++a) {
    const int64_t first = floor_of(s.before[a] - (s.taps[a] - 1) * s.dilation[a], s.stride[a]);
    const int64_t last = floor_of(s.sizes[a] - 1 + s.before[a], s.stride[a]);
    before[a] = std::max<int64_t>(0, -first);
    behind[a] = std::max<int64_t>(0, last - (s.places[a] - 1));
  }
  return Padded(s.places, before, behind, s.outs);
}

// x[i] = sum over the taps k and places p with p stride + k dilation = i + before. With i + before = phase + t
// stride these are the taps whose k dilation leaves the phase, when divided by the stride.
inline std::vector<Phase> phases_of_input(const Shape& s, const Padded& output) {
  const Numbers entry = strides(s.sizes, s.ins), tap = strides(s.taps, s.group_ins() * s.outs);
  std::vector<Phase> found;
  for (int64_t number = 0; number < product(s.stride); ++number) {
    std::vector<Numbers> at, to, row, weight;
    int64_t rest = number;
    for (size_t a = 0; a < s.axes(); ++a) {
      const int64_t phase = rest % s.stride[a];
      rest /= s.stride[a];
      const int64_t first = -floor_of(phase - s.before[a], s.stride[a]);  // the least t with i >= 0
      const int64_t end = floor_of(s.sizes[a] - 1 + s.before[a] - phase, s.stride[a]) + 1;
      const int64_t count = std::max<int64_t>(0, end - first);
      at.push_back(steps(count, output.step[a], (first + output.low[a]) * output.step[a]));
      to.push_back(steps(count, s.stride[a] * entry[a], (phase - s.before[a] + first * s.stride[a]) * entry[a]));
      Numbers rows, weights;
      for (int64_t k = 0; k < s.taps[a]; ++k) {
        const int64_t places = phase - k * s.dilation[a];
        if (places % s.stride[a]) continue;
        rows.push_back(places / s.stride[a] * output.step[a]);
        weights.push_back(k * tap[a]);
      }
      row.push_back(rows);
      weight.push_back(weights);
    }
    row.push_back(steps(s.group_outs(), 1));
    weight.push_back(steps(s.group_outs(), 1));
    found.push_back({sums(at), sums(to), sums(row), sums(weight)});
  }
  return found;
}

}  // namespace populace
