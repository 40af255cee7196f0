// The kernels of kernels.h, compiled several times with POPULACE_KERNELS naming the processor.
#include "kernels.h"

#include <math.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <type_traits>
#ifdef __AVX__
#include <immintrin.h>
#endif

namespace populace {
namespace {

// <a, b> in 8 partial sums, which is how vectors of 32 bytes take it, whatever the processor has.
template <class T>
inline T dot(const T* a, const T* b, int64_t n) {
  constexpr int L = 8;
  T partial[L] = {};
  int64_t k = 0;
  for (; k + L <= n; k += L)
    for (int l = 0; l < L; ++l) partial[l] += a[k + l] * b[k + l];
  T total = 0;
  if (k)
    total = ((partial[0] + partial[4]) + (partial[2] + partial[6])) +
            ((partial[1] + partial[5]) + (partial[3] + partial[7]));
  for (; k < n; ++k) total += a[k] * b[k];
  return total;
}

#include "vectors.h"
#include "sum.h"
#include "attend.h"
#include "convolve.h"
#include "dense.h"
#include "recur.h"
#include "recur_back.h"
#include "threefry.h"
#include "windows.h"

template <class T>
void products(const Products<T>& s, Range members, Range rows) {
  const int64_t width = s.heads * s.features;
  for (int64_t m = members.begin; m < members.end; ++m)
    for (int64_t i = rows.begin; i < rows.end; ++i)
      for (int32_t p = s.rows.offsets[i]; p < s.rows.offsets[i + 1]; ++p) {
        const T* x = s.x + m * s.x_stride + s.rows.columns[p] * width;
        const T* y = s.y + m * s.y_stride + i * width;
        T* to = s.weight + m * s.weight_stride + (s.rows.order ? s.rows.order[p] : p) * s.heads;
        for (int64_t h = 0; h < s.heads; ++h) to[h] = dot(x + h * s.features, y + h * s.features, s.features);
      }
}

template <class T>
void maximum(const Maximum<T>& s, Range members, Range rows) {
  for (int64_t m = members.begin; m < members.end; ++m)
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      T* y = s.y + m * s.y_stride + i * s.features;
      int32_t* chosen = s.chosen + m * s.y_stride + i * s.features;
      const int32_t begin = s.rows.offsets[i], end = s.rows.offsets[i + 1];
      for (int64_t f = 0; f < s.features; ++f) y[f] = 0, chosen[f] = -1;
      for (int32_t p = begin; p < end; ++p) {
        const T* x = s.x + m * s.x_stride + s.rows.columns[p] * s.features;
        for (int64_t f = 0; f < s.features; ++f) {
          // Not a number is the largest, and of several the first: it is to be seen.
          const bool better = p == begin || x[f] > y[f] || (x[f] != x[f] && y[f] == y[f]);
          chosen[f] = better ? p : chosen[f];
          y[f] = better ? x[f] : y[f];
        }
      }
    }
}

template <class T>
void chosen(const Chosen<T>& s, Range members, Range rows) {
  for (int64_t m = members.begin; m < members.end; ++m)
    for (int64_t j = rows.begin; j < rows.end; ++j) {
      T* x = s.x + m * s.x_stride + j * s.features;
      for (int64_t f = 0; f < s.features; ++f) x[f] = 0;
      for (int32_t p = s.rows.offsets[j]; p < s.rows.offsets[j + 1]; ++p) {
        const int32_t e = s.rows.order[p];
        const int64_t at = s.rows.columns[p] * s.features;
        const T* y = s.y + m * s.y_stride + at;
        const int32_t* which = s.chosen + m * s.chosen_stride + at;
        for (int64_t f = 0; f < s.features; ++f) x[f] += which[f] == e ? y[f] : T(0);
      }
    }
}

template <class T>
Kernels<T> kernels() {
  return {kLanes<T, kWidest>, kLanes<T>, sum<T>, products<T>, maximum<T>, chosen<T>, attend<T>, inner<T>,
          attend_back<T>, convolve<T>, correlate<T>, dense<T>, transpose<T>, before_activation<T>, pack_cell<T>, recur<T>,
          recur_back<T>, recur_weights<T>, threefry, windows<T>};
}

}  // namespace

template <>
Kernels<float> POPULACE_KERNELS<float>() {
  return kernels<float>();
}

template <>
Kernels<double> POPULACE_KERNELS<double>() {
  return kernels<double>();
}

}  // namespace populace
