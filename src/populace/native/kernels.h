// What the kernels compute, as plain structures: no XLA here, so that the same source can be compiled once
// for every processor, once for those with AVX2 and once for those with AVX-512 (see CMakeLists.txt), and chosen when
// the library is loaded.
//
// Arrays lie as (members, nodes, heads, features). A stride of 0 between members says that all share one array.
// Rows are compressed: those at places offsets[i] to offsets[i + 1] - 1 belong to row i, columns holds the
// node at the other end, and order (null: the same) where the edge in this place stands among all edges.
#pragma once

#include <cstdint>

namespace populace {

struct Rows {
  const int32_t* offsets;
  const int32_t* columns;
  const int32_t* order;
};

struct Range {
  int64_t begin, end;
};

// y[m, i, h, :] = sum over the edges e of row i of weight[m, e, h] x[m, column(e), h, :]
template <class T>
struct Sum {
  Rows rows;
  const T* weight;  // null: 1
  const T* x;
  const T* x_end;
  T* y;
  int64_t count;  // rows
  int64_t heads, features;
  int64_t weight_stride, x_stride, y_stride;  // from one member to the next
  bool stream;                                // y is larger than the caches: write around them
  int64_t first;                              // the edge whose weight stands at the beginning of `weight`
};

// weight[m, e, h] = <x[m, column(e), h, :], y[m, i, h, :]> for the edges e of row i
template <class T>
struct Products {
  Rows rows;
  const T* x;
  const T* y;
  T* weight;
  int64_t heads, features;
  int64_t x_stride, y_stride, weight_stride;
};

// y[m, i, f] = max over the edges e of row i of x[m, column(e), f], 0 without any; chosen[m, i, f] is the first
// such edge, -1 without any
template <class T>
struct Maximum {
  Rows rows;
  const T* x;
  T* y;
  int32_t* chosen;
  int64_t features;
  int64_t x_stride, y_stride;
};

// x[m, j, f] = sum of y[m, i, f] over the edges e of row j, out of source j to i = column(e), where e is the
// chosen one of target i
template <class T>
struct Chosen {
  Rows rows;
  const int32_t* chosen;
  const T* y;
  T* x;
  int64_t features;
  int64_t chosen_stride, y_stride, x_stride;
};

// Attention of graph networks. Per edge e from j to i and head h
//   score = LeakyReLU(s[j, h] + t[i, h])    alpha = exp(score - largest[i, h]) inverse[i, h]
//   kept = alpha keep / (1 - rate)
// with inverse one over the sum of the exponentials. The logarithm of the sum would be rounded with the largest
// score: at scores of 1e5 alpha would be wrong by half a percent.
// settings holds slope and rate of each member, seeds two words each.
template <class T>
struct Attention {
  const T* s;
  const T* t;
  const T* x;
  const T* x_end;
  const T* settings;
  const uint32_t* seeds;  // null: nothing is dropped
  T* largest;
  T* inverse;
  int64_t heads, features;
  int64_t s_stride, t_stride, x_stride, softmax_stride, settings_stride, seeds_stride;
};

// y[m, i, h, :] = sum of kept x[m, j, h, :] over the edges into i; writes largest and inverse too
template <class T>
struct Attend {
  Attention<T> by;
  Rows rows;
  T* y;
  int64_t y_stride;
};

// inner[m, i, h] = <g[m, i, h, :], y[m, i, h, :]>
template <class T>
struct Inner {
  const T* g;
  const T* y;
  T* inner;
  int64_t heads, features;
  int64_t g_stride, y_stride, inner_stride;
};

// From the gradient g by y: by x, by s, and by the sum s + t of each edge, whose sums per target are those by t
template <class T>
struct AttendBack {
  Attention<T> by;
  Rows rows;       // edges out of each source
  const T* inner;  // as above
  const T* g;
  const T* g_end;
  T* by_x;
  T* by_s;
  T* by_edge;
  int64_t inner_stride, g_stride;  // from one member to the next
  int64_t x_stride, s_stride, edge_stride;
};

// Channels of a convolution's next tile, of `left`: two vectors of `lanes`, one, or a short one of `least`.
inline int64_t tile_channels(int64_t left, int64_t lanes, int64_t least) {
  if (left > lanes + (lanes == least ? 0 : lanes / 2)) return 2 * lanes;
  return left > least ? lanes : least;
}

// Channels of all tiles together.
inline int64_t tiled_channels(int64_t channels, int64_t lanes, int64_t least) {
  int64_t all = 0;
  while (all < channels) all += tile_channels(channels - all, lanes, least);
  return all;
}

// One example of a convolution, for places p and channels o of the result
//   y[to[p] + o] = sum over r of x[at[p] + row[r]] weight[r, o]
// where a row is a tap and a channel of x. The weight lies tile by tile (see tile_channels), each (rows, channels of
// the tile). Beyond the channels it is 0.
template <class T>
struct Convolve {
  const T* x;
  const T* weight;
  T* y;
  const int64_t* at;
  const int64_t* to;
  const int64_t* row;
  int64_t rows, channels;
};

// One example of a weight's gradient, added to what is there: weight[r, o] += sum over p of
// x[at[p] + row[r]] y[p, o]. Channels fill whole tiles; a place of y is y_step numbers behind the one before.
template <class T>
struct Correlate {
  const T* x;
  const T* y;
  T* weight;
  const int64_t* at;
  const int64_t* row;
  int64_t places, channels, y_step;
};

enum class Activation : int { none, relu, tanh };

// Rows of a dense layer, or of one of its gradients:
//   y[p, c] = activation(bias[c] + sum over k of x[p x_row + k x_step] weight[k weight_row + c])
// Without `room`, for (units, 2 lanes) numbers, whole tiles of the weight may be read (see tile_channels).
template <class T>
struct Dense {
  const T* x;
  const T* weight;
  const T* bias;  // null: 0
  T* y;
  T* room;
  int64_t units, channels;
  int64_t x_row, x_step, weight_row, y_row;
  Activation activation;
  bool add = false;  // to what y holds
};

// From the gradient g by what an activation gave, y, the one by what it was given, both (rows, channels), and its
// sum over the rows. Without activation nothing is written but that sum.
template <class T>
struct Before {
  const T* g;
  const T* y;
  T* to;
  T* bias;
  int64_t rows, channels;
  Activation activation;
};

// All steps of an LSTM, or of a GRU, whose `cell` is null: hidden states h (rows, steps, units) from x (rows, steps,
// inputs), the last states, and for the gradient `saved` (rows, steps, numbers, units), null if there is none: the gates
// i, f, g, o, the cell c and tanh(c); or r, z, n and the recurrent part of n.
template <class T>
struct Recurrence {
  const T* x;
  const T* weight;  // as `pack_cell` lays it
  const T* start;   // (rows, units), as all states
  const T* cell;
  T* h;
  T* last;
  T* last_cell;
  T* saved;
  T* room;  // (rows of the call, 2 inputs + 3 units)
  int64_t steps, inputs, units;
  bool reverse;  // from the last step to the first
};

// The sweep back through time: gradients `pre` (steps, rows, 4 units) before the activations, of steps in its own order,
// and beside them `past` (steps, rows, 1 + inputs + units), what the products multiplied, with 1 for the biases. Two
// vectors behind `pre` are read.
template <class T>
struct RecurrenceBack {
  const T* x;
  const T* start;
  const T* cell;  // null: GRU
  const T* h;
  const T* saved;
  const T* by_h;           // gradient by h; null: 0
  const T* across;         // recurrent weights transposed, (gates units, units), rows of whole tiles
  const T* across_inputs;  // the same of the inputs
  T* by_x;                 // null: not wanted
  T* dh;                   // gradients by the state, (rows, units)
  T* dc;
  T* pre;
  T* past;
  int64_t rows, steps, inputs, units, across_row, across_inputs_row;
  bool reverse;
};

// Gradients of biases and weights by `count` rows that the sweep left, (1 + inputs + units, 4 units); those of a GRU's
// units by the input part of its candidate are not touched.
template <class T>
struct RecurrenceWeights {
  const T* pre;
  const T* past;
  T* by_weights;
  int64_t count, inputs, units;
  bool gru, add;
};

// Threefry of the counters 0, 1, 2, ... below `count` under each key, or of those in `low`, one to a key: both
// words of each, or their exclusive or.
struct Threefry {
  const uint32_t* keys;  // two words each
  const uint32_t* low;   // null: 0, 1, 2, ...
  uint32_t* to;
  int64_t count;  // numbers to a key
  bool both;
};

// Windows of series, one for each of `begins`: history[i, k] = values[begins[i] + k] and target[i, k] the same
// behind it, both less the last of the history where that is asked for.
template <class T>
struct Windows {
  const T* values;
  const int32_t* begins;
  T* history;
  T* target;
  int64_t latest;         // where a window may begin at the latest
  int64_t before, after;  // steps of the history and of the target
  bool less_last;
};

// One implementation of all of them: each call computes some members, some rows and some features.
template <class T>
struct Kernels {
  int64_t lanes, least;  // numbers in a vector: in the widest, and in one of few channels
  void (*sum)(const Sum<T>&, Range members, Range rows, Range features);
  void (*products)(const Products<T>&, Range members, Range rows);
  void (*maximum)(const Maximum<T>&, Range members, Range rows);
  void (*chosen)(const Chosen<T>&, Range members, Range rows);
  void (*attend)(const Attend<T>&, Range members, Range rows);
  void (*inner)(const Inner<T>&, Range members, Range rows);
  void (*attend_back)(const AttendBack<T>&, Range members, Range rows);
  void (*convolve)(const Convolve<T>&, Range places);
  void (*correlate)(const Correlate<T>&, Range rows);
  void (*dense)(const Dense<T>&, Range rows);
  void (*transpose)(const T* from, int64_t rows, int64_t columns, T* to, int64_t to_row);
  void (*before_activation)(const Before<T>&);
  void (*pack_cell)(const T* by_input, const T* by_unit, const T* bias, int64_t inputs, int64_t units, bool gru, T* to);
  void (*recur)(const Recurrence<T>&, Range rows);
  void (*recur_back)(const RecurrenceBack<T>&, Range steps, Range rows);
  void (*recur_weights)(const RecurrenceWeights<T>&, Range rows);
  void (*threefry)(const Threefry&, Range numbers);
  void (*windows)(const Windows<T>&, Range windows);
};

template <class T>
Kernels<T> kernels_baseline();
template <class T>
Kernels<T> kernels_avx2();
template <class T>
Kernels<T> kernels_avx512();

}  // namespace populace
