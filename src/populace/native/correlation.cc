// Convolution, its gradient by the input and its gradient by the kernel, over any number of axes.
//
// An example, or what a task sees of it, is padded, one at a time and so in the cache; then every place of the result sums products of what
// its taps see. With a stride, the gradient by the input falls into as many phases as there are steps between two
// places: entries of one phase are reached by the same taps. Each number is a sum in an order that the shapes
// alone decide, so that it is the same for any number of threads, and of members beside it.
#include <memory>

#include "arrays.h"
#include "kernels.h"
#include "parallel.h"
#include "taps.h"
#include "xla/ffi/api/ffi.h"

namespace populace {
namespace {

using Attribute = ffi::Span<const int64_t>;

constexpr int64_t kTasks = 8;          // at least so many, where the work allows it
constexpr int64_t kPartial = 4 << 20;  // bytes of partial sums of one member's kernel gradient
constexpr int64_t kPartials = 64 << 20;  // and of all members that are computed at once

Numbers inner(const Any& a, size_t skip) {
  const auto all = a.dimensions();
  return Numbers(all.begin() + skip, all.end() - (skip == 1 ? 2 : 1));
}

template <class T>
int64_t tile_channels(int64_t left) {
  return populace::tile_channels(left, kernels<T>().lanes, kernels<T>().least);
}

template <class T>
int64_t tiled_channels(int64_t channels) {
  return populace::tiled_channels(channels, kernels<T>().lanes, kernels<T>().least);
}

// Write a kernel as Convolve wants it: column c of row r stands at weight[row[r] + c column].
template <class T>
void pack(const T* weight, const Numbers& row, int64_t columns, int64_t column, T* to) {
  for (int64_t c = 0, tile; c < columns; c += tile) {
    tile = tile_channels<T>(columns - c);
    for (int64_t r : row)
      for (int64_t k = 0; k < tile; ++k) *to++ = c + k < columns ? weight[r + (c + k) * column] : T(0);
  }
}

// The convolution of `from` with the kernel, or its adjoint.
template <class T>
void convolve(ffi::ThreadPool& pool, const Shape& s, const Padded& from, const std::vector<Phase>& phases, bool adjoint,
              const T* x, const T* kernel, T* y) {
  const int64_t columns = adjoint ? s.group_ins() : s.group_outs(), column = adjoint ? s.outs : 1;
  const int64_t from_channels = adjoint ? s.group_outs() : s.group_ins();
  const int64_t to_count = adjoint ? product(s.sizes) * s.ins : product(s.places) * s.outs;
  const int64_t from_count = product(from.sizes) * from.channels;
  const int64_t kernel_count = product(s.taps) * s.group_ins() * s.outs;
  const int64_t width = tiled_channels<T>(columns);
  Numbers begins{0};  // of each group's and phase's packed kernel
  for (int64_t g = 0; g < s.groups; ++g)
    for (const Phase& phase : phases) begins.push_back(begins.back() + int64_t(phase.row.size()) * width);
  std::unique_ptr<T[]> packed(new T[s.members * begins.back()]);
  share_out(pool, s.members, double(s.members * kernel_count), [&](int64_t m) {
    size_t k = 0;
    for (int64_t g = 0; g < s.groups; ++g)
      for (const Phase& phase : phases)
        pack(kernel + m * kernel_count + g * s.group_outs(), phase.weight, columns,
             column, packed.get() + m * begins.back() + begins[k++]);
  });
  const int64_t examples = s.members * s.batch, parts = examples < kTasks ? (kTasks + examples - 1) / examples : 1;
  share_out(pool, examples * parts, s.work(), [&](int64_t task) {
    const int64_t example = task / parts, part = task % parts;
    Range seen{from.count, 0};
    for (const Phase& phase : phases) {
      const Range one = reach(phase.at, phase.row, phase.share(part, parts), from.channels);
      if (one.begin < one.end) seen = {std::min(seen.begin, one.begin), std::max(seen.end, one.end)};
    }
    Scratch<T> scratch;
    const T* source = from.of(x + example * from_count, scratch, seen.begin, std::min(seen.end, from.count));
    const T* weights = packed.get() + example / s.batch * begins.back();
    size_t k = 0;
    for (int64_t g = 0; g < s.groups; ++g)
      for (const Phase& phase : phases) {
        const Convolve<T> one{source + g * from_channels, weights + begins[k++], y + example * to_count + g * columns,
                              phase.at.data(), phase.to.data(), phase.row.data(), int64_t(phase.row.size()), columns};
        kernels<T>().convolve(one, phase.share(part, parts));
      }
  });
}

// The gradient by the kernel: sums over some examples each, then their sum.
template <class T>
void correlate(ffi::ThreadPool& pool, const Shape& s, const T* x, const T* y, T* kernel) {
  const Padded input = padded_input(s);
  const auto [at, row] = seen(s, input);
  const int64_t rows = int64_t(row.size()), places = int64_t(at.size()), outs = s.group_outs();
  const int64_t width = tiled_channels<T>(outs), group = rows * width, whole = s.groups * group;
  const int64_t fit = std::max<int64_t>(1, kPartial / (whole * int64_t(sizeof(T))));
  const int64_t parts = std::max<int64_t>(1, std::min({s.batch, fit, kTasks})), cuts = (kTasks + parts - 1) / parts;
  // As many members at once as their partial sums fit; nothing of a member depends on it.
  const int64_t at_once = std::max<int64_t>(1, std::min(s.members, kPartials / (parts * whole * int64_t(sizeof(T)))));
  std::unique_ptr<T[]> partial(new T[at_once * parts * whole]);
  for (int64_t begin = 0; begin < s.members; begin += at_once) {
    const int64_t members = std::min(at_once, s.members - begin);
    const double share = double(members) / double(s.members);
    share_out(pool, members * parts * cuts, s.work() * share, [&](int64_t task) {
      const int64_t cut = task % cuts, part = task / cuts % parts, slot = task / cuts / parts, m = begin + slot;
      const Range mine{rows * cut / cuts, rows * (cut + 1) / cuts};
      T* sum = partial.get() + (slot * parts + part) * whole;
      Scratch<T> scratch;
      for (int64_t g = 0; g < s.groups; ++g)
        std::fill(sum + g * group + mine.begin * width, sum + g * group + mine.end * width, T(0));
      for (int64_t b = s.batch * part / parts; b < s.batch * (part + 1) / parts; ++b) {
        const T* source = input.of(x + (m * s.batch + b) * product(s.sizes) * s.ins, scratch, 0, input.count);
        const T* of = y + (m * s.batch + b) * places * s.outs;
        for (int64_t g = 0; g < s.groups; ++g) {
          const T* own = of + g * outs;
          int64_t step = s.outs;
          if (width != outs) {  // a vector would reach beyond the channels
            T* copy = scratch.of(1, places * width);
            for (int64_t p = 0; p < places; ++p)
              for (int64_t o = 0; o < width; ++o) copy[p * width + o] = o < outs ? own[p * step + o] : T(0);
            own = copy, step = width;
          }
          kernels<T>().correlate(
              {source + g * s.group_ins(), own, sum + g * group, at.data(), row.data(), places, width, step}, mine);
        }
      }
    });
    share_out(pool, members, double(members * parts * whole), [&](int64_t slot) {
      const T* from = partial.get() + slot * parts * whole;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t g = 0; g < s.groups; ++g) {
          T* to = kernel + ((begin + slot) * rows + r) * s.outs + g * outs;
          for (int64_t o = 0; o < outs; ++o) {
            const T* one = from + g * group + r * width + o;
            T total = *one;
            for (int64_t part = 1; part < parts; ++part) total += one[part * whole];
            to[o] = total;
          }
        }
    });
  }
}

ffi::Error CorrelationCall(ffi::ThreadPool pool, Any a, Any b, Out result, std::string_view wanted, Attribute stride,
                           Attribute dilation, Attribute before, int64_t groups) {
  const bool by_input = wanted == "input", by_kernel = wanted == "kernel";
  const Any &x = by_input ? *result : a, &kernel = by_kernel ? *result : by_input ? a : b;
  const Any& y = by_input || by_kernel ? b : *result;
  if (!result->element_count()) return ffi::Error::Success();
  const Shape s{size(x, 0), size(x, 1), x.dimensions().back(), y.dimensions().back(), groups,
                inner(x, 2), inner(kernel, 1), inner(y, 2), Numbers(stride.begin(), stride.end()),
                Numbers(dilation.begin(), dilation.end()), Numbers(before.begin(), before.end())};
  ask_for_large_pages(*result);
  return by_type(a, [&](auto zero) {
    using T = decltype(zero);
    if (by_kernel) {
      correlate<T>(pool, s, data<T>(x), data<T>(y), data<T>(kernel));
    } else if (by_input) {
      const Padded from = padded_output(s);
      convolve<T>(pool, s, from, phases_of_input(s, from), true, data<T>(y), data<T>(kernel), data<T>(x));
    } else {
      const Padded from = padded_input(s);
      convolve<T>(pool, s, from, phases_of_output(s, from), false, data<T>(x), data<T>(kernel), data<T>(y));
    }
    return ffi::Error::Success();
  });
}

}  // namespace

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(populace_correlation, CorrelationCall,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Any>()
                                  .Arg<Any>()
                                  .Ret<Any>()
                                  .Attr<std::string_view>("wanted")
                                  .Attr<Attribute>("stride")
                                  .Attr<Attribute>("dilation")
                                  .Attr<Attribute>("before")
                                  .Attr<int64_t>("groups"));
#pragma GCC visibility pop

}  // namespace populace
