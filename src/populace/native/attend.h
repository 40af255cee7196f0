// Attention over the edges into each node, fused: scores, softmax, dropout and the weighted sum. Nothing as
// large as (edges, heads, features) is ever held. Included by kernels.cc, inside its namespace.
//
// Rows are taken a block at a time, small enough that one number for each of its edges and heads stays in the
// first cache. What is the same for all of these (exponentials, what dropout keeps) is then one long loop over
// vectors, however few heads there are and however short the rows.

constexpr int64_t kBlock = 512;  // edges and rows, times heads, of a block; a longer row is a block of its own

// e^x without a branch or a call, so that loops over heads become vectors; relative error 2e-7.
inline float exponential(float x) {
  x = x > -87.0f ? x : (x == x ? -87.0f : x);
  x = x < 88.0f ? x : (x == x ? 88.0f : x);
  const float n = static_cast<float>(static_cast<int32_t>(x * 1.44269504f + (x < 0 ? -0.5f : 0.5f)));
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float series = 1.9875691500e-4f;
  series = series * r + 1.3981999507e-3f;
  series = series * r + 8.3334519073e-3f;
  series = series * r + 4.1665795894e-2f;
  series = series * r + 1.6666665459e-1f;
  series = series * r + 5.0000001201e-1f;
  const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
  float power;
  __builtin_memcpy(&power, &bits, 4);
  return (series * r * r + r + 1.0f) * power;
}
inline double exponential(double x) { return exp(x); }

inline uint32_t mixed(uint32_t v) {  // as in nn/hashing.py
  v = (v ^ (v >> 16)) * 0x7feb352dU;
  v = (v ^ (v >> 15)) * 0x846ca68bU;
  return v ^ (v >> 16);
}

inline bool keeps(uint32_t count, const uint32_t* seeds, float rate) {
  const uint32_t bits = mixed(mixed(count + seeds[0]) ^ seeds[1]);
  return static_cast<float>(bits >> 8) * 0x1p-24f >= rate;
}

template <class T>
inline T leaky(T raw, T slope) {
  return raw >= 0 ? raw : slope * raw;
}

// Rows first to last - 1, their edges, and the numbers held for each edge and head.
template <class T, int kHeld>
class Block {
 public:
  Block(const int32_t* offsets, Range rows, int64_t heads) : offsets_(offsets), end_(rows.end), heads_(heads) {
    int64_t most = kBlock;
    for (int64_t i = rows.begin; i < rows.end; ++i)
      most = std::max(most, (offsets[i + 1] - offsets[i] + int64_t(1)) * heads);
    room_ = (most + 15) / 16 * 16;
    held_ = std::make_unique<T[]>(kHeld * room_);
    counts = std::make_unique<uint32_t[]>(room_);
  }

  bool take(int64_t row) {  // the block that begins with this row; false behind the last
    if (row >= end_) return false;
    first = last = row;
    begin = end = offsets_[row];
    do {
      end = offsets_[++last];
    } while (last < end_ && (offsets_[last + 1] - begin + last + 1 - first) * heads_ <= kBlock);
    size = (end - begin) * heads_;
    return true;
  }

  T* held(int k) { return held_.get() + k * room_; }

  int64_t first, last, size;
  int32_t begin, end;
  std::unique_ptr<uint32_t[]> counts;

 private:
  const int32_t* offsets_;
  int64_t end_, heads_, room_;
  std::unique_ptr<T[]> held_;
};

// y[i, h, :] = sum of weight[p, h] x[column(p), h, :] for the rows of a block, whose first edge has weight[0].
template <class T>
inline void add_up(const Rows& rows, Range block, const T* weight, const T* x, const T* x_end, T* y, int64_t heads,
                   int64_t features) {
  const Rows here{rows.offsets, rows.columns, nullptr};
  const Sum<T> s{here, weight, x, x_end, y, block.end, heads, features, 0, 0, 0, false, rows.offsets[block.begin]};
  sum_of<T, true>(s, {0, 1}, block, {0, features});
}

template <class T, int kHeads>
void attend_by(const Attend<T>& s, Range members, Range rows) {
  const Attention<T>& by = s.by;
  const int64_t H = kHeads ? kHeads : by.heads, F = by.features;
  const int32_t *offsets = s.rows.offsets, *columns = s.rows.columns;
  Block<T, 2> block(offsets, rows, H);
  T* __restrict score = block.held(0);
  T* __restrict of_row = block.held(1);  // the largest score
  constexpr int kTogether = kHeads ? kHeads : 8;
  for (int64_t m = members.begin; m < members.end; ++m) {
    const T slope = by.settings[m * by.settings_stride], rate = by.settings[m * by.settings_stride + 1];
    const uint32_t* seeds = by.seeds ? by.seeds + m * by.seeds_stride : nullptr;
    const T scale = seeds ? 1 / (1 - rate) : T(1);
    const T *from = by.s + m * by.s_stride, *to = by.t + m * by.t_stride, *x = by.x + m * by.x_stride;
    T *y = s.y + m * s.y_stride, *of_largest = by.largest + m * by.softmax_stride,
      *of_inverse = by.inverse + m * by.softmax_stride;
    for (int64_t row = rows.begin; block.take(row); row = block.last) {
      T* e = score;
      for (int64_t i = block.first; i < block.last; ++i) {
        T* best = of_row + (i - block.first) * H;
        for (int64_t part = 0; part < H; part += kTogether) {
          const int heads = kHeads ? kHeads : static_cast<int>(std::min<int64_t>(H - part, kTogether));
          T largest[kTogether], target[kTogether];
          for (int h = 0; h < heads; ++h) largest[h] = -INFINITY, target[h] = to[i * H + part + h];
          T* __restrict each = e + part;
          for (int32_t p = offsets[i]; p < offsets[i + 1]; ++p, each += H) {
            const T* __restrict source = from + columns[p] * H + part;
#pragma GCC unroll 1  // here and below: unrolled, the loop over heads would not become a vector
            for (int h = 0; h < heads; ++h) {
              const T found = leaky(source[h] + target[h], slope);
              largest[h] = found > largest[h] ? found : largest[h];
              each[h] = found;
            }
          }
          each = e + part;
          for (int32_t p = offsets[i]; p < offsets[i + 1]; ++p, each += H)
            for (int h = 0; h < heads; ++h) each[h] -= largest[h];
          for (int h = 0; h < heads; ++h) best[part + h] = largest[h];
        }
        e += (offsets[i + 1] - offsets[i]) * H;
      }
      for (int64_t k = 0; k < block.size; ++k) score[k] = exponential(score[k]);
      e = score;
      for (int64_t i = block.first; i < block.last; ++i) {
        const T* best = of_row + (i - block.first) * H;
        const int32_t edges = offsets[i + 1] - offsets[i];
        for (int64_t part = 0; part < H; part += kTogether) {
          const int heads = kHeads ? kHeads : static_cast<int>(std::min<int64_t>(H - part, kTogether));
          T total[kTogether] = {};
          T* __restrict each = e + part;
          for (int32_t p = 0; p < edges; ++p, each += H)
            for (int h = 0; h < heads; ++h) total[h] += each[h];
          for (int h = 0; h < heads; ++h) {
            const T inverse = edges ? 1 / total[h] : T(0);
            of_largest[i * H + part + h] = edges ? best[part + h] : T(0);
            of_inverse[i * H + part + h] = inverse;
            total[h] = scale * inverse;
          }
          each = e + part;
          for (int32_t p = 0; p < edges; ++p, each += H)
            for (int h = 0; h < heads; ++h) each[h] *= total[h];
        }
        e += edges * H;
      }
      if (seeds) {
        const uint32_t first = static_cast<uint32_t>(block.begin * H);
        for (int64_t k = 0; k < block.size; ++k)
          score[k] = keeps(first + static_cast<uint32_t>(k), seeds, static_cast<float>(rate)) ? score[k] : T(0);
      }
      add_up(s.rows, {block.first, block.last}, score, x, by.x_end, y, H, F);
    }
  }
}

// inner[m, i, h] = <g[m, i, h, :], y[m, i, h, :]>
template <class T>
void inner(const Inner<T>& s, Range members, Range rows) {
  const int64_t H = s.heads, F = s.features;
  for (int64_t m = members.begin; m < members.end; ++m)
    for (int64_t k = rows.begin * H; k < rows.end * H; ++k)
      s.inner[m * s.inner_stride + k] = dot(s.g + m * s.g_stride + k * F, s.y + m * s.y_stride + k * F, F);
}

template <class T, int kHeads>
void attend_back_by(const AttendBack<T>& s, Range members, Range rows) {
  const Attention<T>& by = s.by;
  const int64_t H = kHeads ? kHeads : by.heads, F = by.features;
  const int32_t *offsets = s.rows.offsets, *columns = s.rows.columns;
  Block<T, 6> block(offsets, rows, H);
  T* __restrict alpha = block.held(0);
  T* __restrict slant = block.held(1);  // of LeakyReLU, at the score
  T* __restrict inner = block.held(2);  // of the target
  T* __restrict weight = block.held(3);
  T* __restrict product = block.held(4);
  T* __restrict inverse = block.held(5);
  uint32_t* __restrict counts = block.counts.get();
  for (int64_t m = members.begin; m < members.end; ++m) {
    const T slope = by.settings[m * by.settings_stride], rate = by.settings[m * by.settings_stride + 1];
    const uint32_t* seeds = by.seeds ? by.seeds + m * by.seeds_stride : nullptr;
    const T scale = seeds ? 1 / (1 - rate) : T(1);
    const T *x = by.x + m * by.x_stride, *g = s.g + m * s.g_stride;
    const T *from = by.s + m * by.s_stride, *to = by.t + m * by.t_stride;
    const T *of_largest = by.largest + m * by.softmax_stride, *of_inverse = by.inverse + m * by.softmax_stride;
    const T* of_target = s.inner + m * s.inner_stride;
    T *by_s = s.by_s + m * s.s_stride, *by_edge = s.by_edge + m * s.edge_stride;
    for (int64_t row = rows.begin; block.take(row); row = block.last) {
      int64_t k = 0;
      for (int64_t j = block.first; j < block.last; ++j) {
        const T *__restrict source = from + j * H, *__restrict x_of = x + j * H * F;
        for (int32_t p = offsets[j]; p < offsets[j + 1]; ++p, k += H) {
          const int64_t i = columns[p];
          const uint32_t first = static_cast<uint32_t>(s.rows.order[p] * H);
          const T *__restrict target = to + i * H, *__restrict largest = of_largest + i * H;
#pragma GCC unroll 1
          for (int h = 0; h < H; ++h) slant[k + h] = source[h] + target[h] >= 0 ? T(1) : slope;
#pragma GCC unroll 1
          for (int h = 0; h < H; ++h) alpha[k + h] = slant[k + h] * (source[h] + target[h]) - largest[h];
#pragma GCC unroll 1
          for (int h = 0; h < H; ++h) inverse[k + h] = of_inverse[i * H + h];
#pragma GCC unroll 1
          for (int h = 0; h < H; ++h) inner[k + h] = of_target[i * H + h];
#pragma GCC unroll 1
          for (int h = 0; h < H; ++h) counts[k + h] = first + static_cast<uint32_t>(h);
          for (int h = 0; h < H; ++h) product[k + h] = dot(x_of + h * F, g + (i * H + h) * F, F);
        }
      }
      for (k = 0; k < block.size; ++k) alpha[k] = exponential(alpha[k]) * inverse[k];
      if (seeds)
        for (k = 0; k < block.size; ++k)
          weight[k] = keeps(counts[k], seeds, static_cast<float>(rate)) ? scale : T(0);
      else
        for (k = 0; k < block.size; ++k) weight[k] = 1;
      for (k = 0; k < block.size; ++k) {
        product[k] = slant[k] * alpha[k] * (weight[k] * product[k] - inner[k]);
        weight[k] *= alpha[k];
      }
      k = 0;
      for (int64_t j = block.first; j < block.last; ++j) {
        T* __restrict sum = by_s + j * H;
        for (int h = 0; h < H; ++h) sum[h] = 0;
        for (int32_t p = offsets[j]; p < offsets[j + 1]; ++p, k += H) {
          T* __restrict to_edge = by_edge + int64_t(s.rows.order[p]) * H;
          const T* __restrict each = product + k;
#pragma GCC unroll 1
          for (int h = 0; h < H; ++h) to_edge[h] = each[h];
#pragma GCC unroll 1
          for (int h = 0; h < H; ++h) sum[h] += each[h];
        }
      }
      add_up(s.rows, {block.first, block.last}, weight, g, s.g_end, s.by_x + m * s.x_stride, H, F);
    }
  }
}

template <class T>
void attend(const Attend<T>& s, Range members, Range rows) {
  (s.by.heads == 8 ? attend_by<T, 8> : s.by.heads == 1 ? attend_by<T, 1> : attend_by<T, 0>)(s, members, rows);
}

template <class T>
void attend_back(const AttendBack<T>& s, Range members, Range rows) {
  (s.by.heads == 8   ? attend_back_by<T, 8>
   : s.by.heads == 1 ? attend_back_by<T, 1>
                     : attend_back_by<T, 0>)(s, members, rows);
}
