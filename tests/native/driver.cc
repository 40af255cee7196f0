// Runs every kernel on arrays of exactly the size it is told, without XLA, so that a sanitizer sees each access
// beside them. Compiled with kernels.cc by test_sanitizers.py, once for each kind of processor.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "kernels.h"

namespace {

using namespace populace;

std::mt19937 draws(0);

// An array on the heap with nothing around it.
template <class T>
struct Exact {
  explicit Exact(int64_t n) : count(n), at(new T[n]) {
    for (int64_t i = 0; i < n; ++i) at[i] = T(std::uniform_real_distribution<double>(-1, 1)(draws));
  }
  T* get() const { return at.get(); }
  T* end() const { return at.get() + count; }
  void check(const char* what) const {
    for (int64_t i = 0; i < count; ++i)
      if (!std::isfinite(double(at[i]))) std::printf("%s: not finite\n", what), std::exit(1);
  }
  int64_t count;
  std::unique_ptr<T[]> at;
};

// Some edges among a few nodes, the last node without any, sorted by the node at one end.
struct Graph {
  explicit Graph(int32_t nodes) : nodes(nodes), offsets(nodes + 1) {
    for (int32_t i = 0; i < nodes; ++i) {
      offsets[i] = int32_t(columns.size());
      for (int32_t k = 0; i + 1 < nodes && k < int32_t(draws() % 5); ++k) columns.push_back(int32_t(draws() % nodes));
    }
    offsets[nodes] = int32_t(columns.size());
    for (int32_t p = int32_t(columns.size()); p-- > 0;) order.push_back(p);
  }
  int64_t edges() const { return int64_t(columns.size()); }
  Rows rows(bool ordered) const { return {offsets.data(), columns.data(), ordered ? order.data() : nullptr}; }
  int64_t nodes;
  std::vector<int32_t> offsets, columns, order;
};

template <class T>
void sums(const Kernels<T>& kernels, const Graph& graph, int64_t members, int64_t heads, int64_t features) {
  const int64_t all = graph.nodes * heads * features;
  const Exact<T> x(members * all), weight(members * graph.edges() * heads), other(members * all);
  for (int way = 0; way < 4; ++way) {
    const bool weighted = way % 2, stream = way / 2;
    const Exact<T> y(members * all);
    kernels.sum({graph.rows(weighted), weighted ? weight.get() : nullptr, x.get(), x.end(), y.get(), graph.nodes, heads,
                 features, graph.edges() * heads, all, all, stream, 0},
                {0, members}, {0, graph.nodes}, {0, features});
    y.check("sum");
  }
  const Exact<T> product(members * graph.edges() * heads), largest(members * all), back(members * all);
  kernels.products({graph.rows(true), x.get(), other.get(), product.get(), heads, features, all, all, graph.edges() * heads},
                   {0, members}, {0, graph.nodes});
  product.check("products");
  const std::unique_ptr<int32_t[]> chosen(new int32_t[members * all]);
  kernels.maximum({graph.rows(false), x.get(), largest.get(), chosen.get(), heads * features, all, all}, {0, members},
                  {0, graph.nodes});
  largest.check("maximum");
  kernels.chosen({graph.rows(true), chosen.get(), other.get(), back.get(), heads * features, all, all, all}, {0, members},
                 {0, graph.nodes});
  back.check("chosen");
}

template <class T>
void attention(const Kernels<T>& kernels, const Graph& graph, int64_t members, int64_t heads, int64_t features) {
  const int64_t small = graph.nodes * heads, all = small * features, edges = graph.edges() * heads;
  const Exact<T> s(members * small), t(members * small), x(members * all), settings(members * 2);
  for (int64_t m = 0; m < members; ++m) settings.get()[2 * m] = T(.2), settings.get()[2 * m + 1] = T(.5);
  const std::vector<uint32_t> seeds(2 * members, 7);
  const Exact<T> largest(members * small), inverse(members * small), y(members * all), inner(members * small);
  const Exact<T> g(members * all), by_x(members * all), by_s(members * small), by_edge(members * edges);
  const Attention<T> by{s.get(), t.get(), x.get(), x.end(), settings.get(), heads % 2 ? seeds.data() : nullptr,
                        largest.get(), inverse.get(), heads, features, small, small, all, small, 2, 2};
  kernels.attend({by, graph.rows(false), y.get(), all}, {0, members}, {0, graph.nodes});
  y.check("attend");
  kernels.inner({g.get(), y.get(), inner.get(), heads, features, all, all, small}, {0, members}, {0, graph.nodes});
  kernels.attend_back({by, graph.rows(true), inner.get(), g.get(), g.end(), by_x.get(), by_s.get(), by_edge.get(), small,
                       all, all, small, edges},
                      {0, members}, {0, graph.nodes});
  by_x.check("attend_back"), by_s.check("attend_back"), by_edge.check("attend_back");
}

// Places in a row, taps of two channels.
template <class T>
void convolution(const Kernels<T>& kernels, int64_t places, int64_t channels) {
  const int64_t taps = 3, ins = 2, rows = taps * ins, width = tiled_channels(channels, kernels.lanes, kernels.least);
  std::vector<int64_t> at, to, row;
  for (int64_t p = 0; p < places; ++p) at.push_back(p * ins), to.push_back(p * channels);
  for (int64_t r = 0; r < rows; ++r) row.push_back(r);
  const Exact<T> x((places + taps - 1) * ins), weight(rows * width), y(places * channels);
  kernels.convolve({x.get(), weight.get(), y.get(), at.data(), to.data(), row.data(), rows, channels}, {0, places});
  y.check("convolve");
  const Exact<T> g(places * width), sum(rows * width);
  kernels.correlate({x.get(), g.get(), sum.get(), at.data(), row.data(), places, width, width}, {0, rows});
  sum.check("correlate");
}

// A layer from rows of `inputs` to `outputs`, and its gradients.
template <class T>
void layer(const Kernels<T>& kernels, int64_t rows, int64_t inputs, int64_t outputs) {
  const int64_t width = tiled_channels(outputs, kernels.lanes, kernels.least);
  const Exact<T> x(rows * inputs), weight(outputs * inputs), bias(outputs), packed(inputs * width), y(rows * outputs);
  const Exact<T> g(rows * outputs), by_bias(outputs), room(std::max(rows, outputs) * 2 * kernels.lanes);
  kernels.transpose(weight.get(), outputs, inputs, packed.get(), width);
  packed.check("transpose");
  for (const Activation activation : {Activation::none, Activation::relu, Activation::tanh}) {
    const Exact<T> before(rows * outputs), by_x(rows * inputs), by_weight(outputs * inputs);
    kernels.dense({x.get(), packed.get(), bias.get(), y.get(), nullptr, inputs, outputs, inputs, 1, width, outputs, activation},
                  {0, rows});
    y.check("dense");
    kernels.before_activation({g.get(), y.get(), before.get(), by_bias.get(), rows, outputs, activation});
    before.check("before_activation"), by_bias.check("before_activation");
    kernels.dense({before.get(), weight.get(), nullptr, by_x.get(), room.get(), outputs, inputs, outputs, 1, inputs, inputs,
                   Activation::none},
                  {0, rows});
    kernels.dense({before.get(), x.get(), nullptr, by_weight.get(), room.get(), rows, inputs, 1, outputs, inputs, inputs,
                   Activation::none},
                  {0, outputs});
    by_x.check("dense by x"), by_weight.check("dense by weight");
  }
}

// A sequence through an LSTM or GRU and back, its rows in two parts, its steps in blocks of three.
template <class T>
void recurrence(const Kernels<T>& kernels, int64_t rows, int64_t steps, int64_t inputs, int64_t units, bool gru) {
  const int64_t gates = gru ? 3 : 4, whole = (units + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
  const int64_t kept = gru ? 4 : 6, width = inputs + units, state = rows * units;
  const Exact<T> x(rows * steps * inputs), by_input(inputs * gates * units), by_unit(units * gates * units), bias(4 * units);
  const Exact<T> packed(whole * (4 + width * gates)), start(state), cell(state), h(state * steps), last(state), last_cell(state);
  const Exact<T> saved(state * steps * kept);
  kernels.pack_cell(by_input.get(), by_unit.get(), bias.get(), inputs, units, gru, packed.get());
  packed.check("pack_cell");
  for (const Range part : {Range{0, rows / 2}, Range{rows / 2, rows}}) {
    const Exact<T> room((part.end - part.begin) * (2 * inputs + 3 * units));
    kernels.recur({x.get(), packed.get(), start.get(), gru ? nullptr : cell.get(), h.get(), last.get(), last_cell.get(),
                   rows % 2 ? saved.get() : nullptr, room.get(), steps, inputs, units, gru},
                  part);
  }
  h.check("recur"), last.check("recur"), last_cell.check("recur"), saved.check("recur");
  const int64_t row = tiled_channels(units, kernels.lanes, kernels.least), x_row = tiled_channels(inputs, kernels.lanes, kernels.least);
  const Exact<T> across(gates * units * row), across_inputs(gates * units * x_row), by_h(state * steps), by_x(rows * steps * inputs);
  const Exact<T> by_weights((1 + width) * 4 * units), dh(state), dc(state);
  kernels.transpose(by_unit.get(), units, gates * units, across.get(), row);
  kernels.transpose(by_input.get(), inputs, gates * units, across_inputs.get(), x_row);
  for (int64_t end = steps; end > 0; end -= 3) {
    const int64_t begin = std::max(end - 3, int64_t(0)), count = (end - begin) * rows;
    const Exact<T> pre(count * 4 * units + 2 * kernels.lanes), past(count * (1 + width));
    for (const Range part : {Range{0, rows / 2}, Range{rows / 2, rows}})
      kernels.recur_back({x.get(), start.get(), gru ? nullptr : cell.get(), h.get(), saved.get(), rows % 2 ? by_h.get() : nullptr,
                          across.get(), across_inputs.get(), rows % 2 ? nullptr : by_x.get(), dh.get(), dc.get(), pre.get(),
                          past.get(), rows, steps, inputs, units, row, x_row, gru},
                         {begin, end}, part);
    for (const Range part : {Range{0, width / 2}, Range{width / 2, 1 + width}})
      kernels.recur_weights({pre.get(), past.get(), by_weights.get(), count, inputs, units, gru, end < steps}, part);
    pre.check("recur_back"), past.check("recur_back");
  }
  dh.check("recur_back"), dc.check("recur_back"), by_x.check("recur_back");
  by_weights.check("recur_weights");
}

// Windows of all lengths about a vector's, the last of which ends with the series.
template <class T>
void cut(const Kernels<T>& kernels, int64_t before, int64_t after) {
  constexpr int64_t kTotal = 80;
  const int64_t latest = kTotal - before - after;
  const int32_t begins[] = {0, 3, int32_t(latest), 2147483647, -1};
  const Exact<T> values(kTotal), history(5 * before), target(5 * after);
  for (const bool less_last : {false, true})
    kernels.windows({values.get(), begins, history.get(), target.get(), latest, before, after, less_last}, {0, 5});
  history.check("windows"), target.check("windows");
}

template <class T>
void run(const Kernels<T>& kernels) {
  const Graph graph(9);
  for (int64_t members : {1, 3, 8})
    for (int64_t heads : {1, 2, 8, 9})
      for (int64_t features : {1, 3, 7, 8, 9, 16, 17, 33, 64, 70}) {
        sums(kernels, graph, members, heads, features);
        attention(kernels, graph, members, heads, features);
      }
  for (int64_t places : {1, 5, 12, 17, 400})
    for (int64_t channels = 1; channels < 70; ++channels) convolution(kernels, places, channels);
  for (int64_t rows : {1, 5, 6, 13})
    for (int64_t inputs : {1, 7, 8, 16, 23, 33})
      for (int64_t outputs : {1, 3, 8, 16, 17, 24, 50}) layer(kernels, rows, inputs, outputs);
  for (int64_t rows : {1, 2, 7, 16})
    for (int64_t inputs : {1, 5})
      for (int64_t units : {1, 4, 8, 16, 20, 33})
        for (const bool gru : {false, true}) recurrence(kernels, rows, 7, inputs, units, gru);
  for (int64_t before : {1, 7, 8, 24, 33})
    for (int64_t after : {1, 12, 16, 31}) cut(kernels, before, after);
}

}  // namespace

int main() {
  run<float>(POPULACE_KERNELS<float>());
  run<double>(POPULACE_KERNELS<double>());
  const uint32_t keys[4] = {1, 2, 3, 4};
  for (int64_t count : {1, 15, 16, 17, 100}) {
    const std::unique_ptr<uint32_t[]> to(new uint32_t[4 * count]);
    for (const bool both : {false, true})
      POPULACE_KERNELS<float>().threefry({keys, nullptr, to.get(), count, both}, {0, 2 * count});
  }
  std::puts("sound");
}
