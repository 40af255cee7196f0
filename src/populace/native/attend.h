// Attention over the arcs into each node, fused: scores, softmax, dropout and the weighted sum. Nothing as
// large as (arcs, heads, features) is ever held. Included by kernels.cc, inside its namespace.

constexpr int kHeads = 16;  // heads taken together

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

// to += a x and, if asked for, <y, x>
template <class T, bool Dot>
inline T add(T* __restrict to, T a, const T* __restrict x, const T* __restrict y, int64_t n) {
  constexpr int L = 8;
  T partial[L] = {};
  int64_t k = 0;
  for (; k + L <= n; k += L)
    for (int l = 0; l < L; ++l) {
      to[k + l] += a * x[k + l];
      if (Dot) partial[l] += y[k + l] * x[k + l];
    }
  T total = 0;
  if (Dot)
    for (int l = 0; l < L; ++l) total += partial[l];
  for (; k < n; ++k) {
    to[k] += a * x[k];
    if (Dot) total += y[k] * x[k];
  }
  return total;
}

template <class T>
void attend(const Attend<T>& s, Range members, Range rows) {
  const Attention<T>& by = s.by;
  const int64_t H = by.heads, F = by.features;
  for (int64_t m = members.begin; m < members.end; ++m) {
    const T slope = by.settings[m * by.settings_stride], rate = by.settings[m * by.settings_stride + 1];
    const uint32_t* seeds = by.seeds ? by.seeds + m * by.seeds_stride : nullptr;
    const T scale = seeds ? 1 / (1 - rate) : T(1);
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      const int32_t begin = s.rows.offsets[i], end = s.rows.offsets[i + 1];
      T* y = s.y + m * s.y_stride + i * H * F;
      for (int64_t k = 0; k < H * F; ++k) y[k] = 0;
      for (int64_t from = 0; from < H; from += kHeads) {
        const int heads = static_cast<int>(H - from < kHeads ? H - from : kHeads);
        const T* t = by.t + m * by.t_stride + i * H + from;
        T best[kHeads], total[kHeads], a[kHeads];
        for (int h = 0; h < heads; ++h) best[h] = -INFINITY, total[h] = 0;
        for (int32_t p = begin; p < end; ++p) {
          const T* of = by.s + m * by.s_stride + s.rows.columns[p] * H + from;
          for (int h = 0; h < heads; ++h) {
            const T score = leaky(of[h] + t[h], slope);
            best[h] = score > best[h] ? score : best[h];
          }
        }
        for (int32_t p = begin; p < end; ++p) {
          const int64_t j = s.rows.columns[p];
          const T* of = by.s + m * by.s_stride + j * H + from;
          const T* x = by.x + m * by.x_stride + (j * H + from) * F;
          for (int h = 0; h < heads; ++h) {
            a[h] = exponential(leaky(of[h] + t[h], slope) - best[h]);
            total[h] += a[h];
          }
          if (seeds)
            for (int h = 0; h < heads; ++h)
              a[h] = keeps(static_cast<uint32_t>(p * H + from + h), seeds, static_cast<float>(rate)) ? a[h] : T(0);
          for (int h = 0; h < heads; ++h) add<T, false>(y + (from + h) * F, a[h], x + h * F, nullptr, F);
        }
        T* log_sum = by.log_sum + m * by.log_sum_stride + i * H + from;
        for (int h = 0; h < heads; ++h) {
          const T share = begin < end ? scale / total[h] : T(0);
          for (int64_t f = 0; f < F; ++f) y[(from + h) * F + f] *= share;
          log_sum[h] = begin < end ? best[h] + static_cast<T>(log(total[h])) : T(0);
        }
      }
    }
  }
}

template <class T>
void attend_back(const AttendBack<T>& s, Range members, Range rows) {
  const Attention<T>& by = s.by;
  const int64_t H = by.heads, F = by.features;
  for (int64_t m = members.begin; m < members.end; ++m) {
    const T slope = by.settings[m * by.settings_stride], rate = by.settings[m * by.settings_stride + 1];
    const uint32_t* seeds = by.seeds ? by.seeds + m * by.seeds_stride : nullptr;
    const T scale = seeds ? 1 / (1 - rate) : T(1);
    for (int64_t j = rows.begin; j < rows.end; ++j) {
      T* by_x = s.by_x + m * s.x_stride + j * H * F;
      T* by_s = s.by_s + m * s.s_stride + j * H;
      const T* x = by.x + m * by.x_stride + j * H * F;
      const T* of = by.s + m * by.s_stride + j * H;
      for (int64_t k = 0; k < H * F; ++k) by_x[k] = 0;
      for (int64_t h = 0; h < H; ++h) by_s[h] = 0;
      for (int32_t p = s.rows.offsets[j]; p < s.rows.offsets[j + 1]; ++p) {
        const int64_t i = s.rows.columns[p], e = s.rows.order[p];
        const T* t = by.t + m * by.t_stride + i * H;
        const T* log_sum = by.log_sum + m * by.log_sum_stride + i * H;
        const T* inner = s.inner + m * s.inner_stride + i * H;
        const T* g = s.g + m * s.g_stride + i * H * F;
        T* by_arc = s.by_arc + m * s.arc_stride + e * H;
        for (int64_t from = 0; from < H; from += kHeads) {
          const int heads = static_cast<int>(H - from < kHeads ? H - from : kHeads);
          T alpha[kHeads], factor[kHeads];
          for (int h = 0; h < heads; ++h) {
            alpha[h] = exponential(leaky(of[from + h] + t[from + h], slope) - log_sum[from + h]);
            factor[h] = scale;
          }
          if (seeds)
            for (int h = 0; h < heads; ++h)
              factor[h] =
                  keeps(static_cast<uint32_t>(e * H + from + h), seeds, static_cast<float>(rate)) ? scale : T(0);
          for (int h = 0; h < heads; ++h) {
            const int64_t at = (from + h) * F;
            const T by_alpha = factor[h] * add<T, true>(by_x + at, alpha[h] * factor[h], g + at, x + at, F);
            const T by_score = alpha[h] * (by_alpha - inner[from + h]);
            const T d = of[from + h] + t[from + h] >= 0 ? by_score : slope * by_score;
            by_arc[from + h] = d;
            by_s[from + h] += d;
          }
        }
      }
    }
  }
}
