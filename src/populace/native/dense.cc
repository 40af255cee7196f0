// Dense layers, and their gradients, of many members.
//
//   y = activation(x W^T + b),   x (members, rows, inputs), W (members, outputs, inputs), b (members, outputs)
//
// One member's layer is small enough for the cache, so a task is a member, or some rows of one. Each number is one
// sum, whoever computes it, so that neither threads nor other members change it.
#include <memory>

#include "arrays.h"
#include "kernels.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace populace {
namespace {

constexpr int64_t kTasks = 8;  // at least so many, where the work allows it

// Parts of a member's work: one where there are members enough, for what a part reads again is in the cache then.
// Else as many as are worth a thread, of at least `least` rows. No number depends on it.
int64_t cuts_of(int64_t members, double work, int64_t rows, int64_t least) {
  return std::max<int64_t>(1, std::min<int64_t>({int64_t(work / kWorthAThread), kTasks / members, rows / least}));
}

ffi::Error DenseCall(ffi::ThreadPool pool, Any x, Any weight, Any bias, Out result, int64_t activation) {
  const Any& y = *result;
  if (!y.element_count()) return ffi::Error::Success();
  return by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const Kernels<T>& by = kernels<T>();
    const int64_t members = size(y, 0), rows = size(y, 1), outputs = size(y, 2), inputs = size(x, 2);
    const int64_t width = tiled_channels(outputs, by.lanes, by.least), packed = inputs * width;
    const int64_t cuts = cuts_of(members, double(rows * inputs * outputs), rows, 48), weights = stride(weight) ? members : 1;
    const double work = double(members * rows * inputs * outputs);
    const auto compute = [&](int64_t m, const T* w, Range part) {
      by.dense({data<T>(x) + m * stride(x), w, data<T>(bias) + m * stride(bias), data<T>(y) + m * rows * outputs, nullptr,
                inputs, outputs, inputs, 1, width, outputs, Activation(activation)},
               part);
    };
    const auto pack = [&](int64_t m, T* to) {
      by.transpose(data<T>(weight) + m * stride(weight), outputs, inputs, to, width);
    };
    if (cuts == 1 && weights == members) {
      share_out(pool, members, work, [&](int64_t m) {
        Room<T> to(packed);
        pack(m, to.get());
        compute(m, to.get(), {0, rows});
      });
      return ffi::Error::Success();
    }
    const std::unique_ptr<T[]> to(new T[weights * packed]);
    share_out(pool, weights, double(weights * packed), [&](int64_t m) { pack(m, to.get() + m * packed); });
    share_out(pool, members * cuts, work, [&](int64_t task) {
      const int64_t m = task / cuts, cut = task % cuts;
      compute(m, to.get() + (weights == 1 ? 0 : m) * packed, {rows * cut / cuts, rows * (cut + 1) / cuts});
    });
    return ffi::Error::Success();
  });
}

// Results without entries are not wanted; `before` is room for the gradient before the activation.
ffi::Error DenseBackCall(ffi::ThreadPool pool, Any x, Any weight, Any y, Any g, Out by_x, Out by_weight, Out by_bias,
                         Out before, int64_t activation) {
  return by_type(g, [&](auto zero) {
    using T = decltype(zero);
    const Kernels<T>& by = kernels<T>();
    const int64_t members = size(*by_bias, 0), rows = size(g, 1), outputs = size(g, 2), inputs = size(x, 2);
    const double each = double(rows * inputs * outputs);
    const bool wants_x = by_x->element_count(), wants_weight = by_weight->element_count();
    const Activation of = Activation(activation);
    const auto first = [&](int64_t m) {
      by.before_activation({data<T>(g) + m * stride(g), data<T>(y) + m * stride(y), data<T>(*before) + m * stride(*before),
                            data<T>(*by_bias) + m * outputs, rows, outputs, of});
    };
    const auto gradient = [&](int64_t m) {
      return of == Activation::none ? data<T>(g) + m * stride(g) : data<T>(*before) + m * rows * outputs;
    };
    const auto then = [&](int64_t m, int64_t cut, int64_t cuts) {
      const T* from = gradient(m);
      Room<T> room(std::max(rows, outputs) * 2 * by.lanes);
      if (wants_x)
        by.dense({from, data<T>(weight) + m * stride(weight), nullptr, data<T>(*by_x) + m * rows * inputs, room.get(),
                  outputs, inputs, outputs, 1, inputs, inputs, Activation::none},
                 {rows * cut / cuts, rows * (cut + 1) / cuts});
      if (wants_weight)
        by.dense({from, data<T>(x) + m * stride(x), nullptr, data<T>(*by_weight) + m * outputs * inputs, room.get(),
                  rows, inputs, 1, outputs, inputs, inputs, Activation::none},
                 {outputs * cut / cuts, outputs * (cut + 1) / cuts});
    };
    const int64_t cuts = cuts_of(std::max<int64_t>(members, 1), each, std::min(rows, outputs), 24);
    if (cuts == 1) {
      share_out(pool, members, each * double(members) * (wants_x + wants_weight), [&](int64_t m) {
        first(m);
        then(m, 0, 1);
      });
      return ffi::Error::Success();
    }
    share_out(pool, members, double(members * rows * outputs), first);
    share_out(pool, members * cuts, each * double(members) * (wants_x + wants_weight),
              [&](int64_t task) { then(task / cuts, task % cuts, cuts); });
    return ffi::Error::Success();
  });
}

}  // namespace

#define ANY .Arg<Any>()
#define OUT .Ret<Any>()

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(populace_dense, DenseCall,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() ANY ANY ANY OUT.Attr<int64_t>("activation"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(populace_dense_back, DenseBackCall,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() ANY ANY ANY ANY OUT OUT OUT OUT
                                  .Attr<int64_t>("activation"));
#pragma GCC visibility pop

}  // namespace populace
