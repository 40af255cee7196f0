// Windows of series, cut where they begin: what XLA calls for nn/primitives/windows.py.
//
// XLA computes the place of every number that it gathers; here a window is copied as a whole, and centered on the way.
#include <algorithm>

#include "arrays.h"
#include "kernels.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace populace {
namespace {

constexpr int64_t kBlock = 256;  // windows of a task

// A window that would lead outside begins as late, or as early, as it can, as XLA's slices do.
ffi::Error WindowsCall(ffi::ThreadPool pool, Any values, ffi::Buffer<ffi::S32> begins, Out history, Out target,
                       int64_t after, bool less_last) {
  return by_type(values, [&](auto zero) {
    using T = decltype(zero);
    const int64_t total = values.element_count(), count = begins.element_count();
    const int64_t before = size(*history, 2), latest = total - before - after;
    if (latest < 0) return ffi::Error::InvalidArgument("a window is longer than all series together");
    share_out(pool, (count + kBlock - 1) / kBlock, double(count * (before + after)), [&](int64_t task) {
      kernels<T>().windows({data<T>(values), begins.typed_data(), data<T>(*history), data<T>(*target), latest, before, after,
                            less_last},
                           {task * kBlock, std::min(count, (task + 1) * kBlock)});
    });
    return ffi::Error::Success();
  });
}

}  // namespace

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(populace_windows, WindowsCall,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Any>().Arg<ffi::Buffer<ffi::S32>>()
                                  .Ret<Any>().Ret<Any>().Attr<int64_t>("horizon").Attr<bool>("less_last"));
#pragma GCC visibility pop

}  // namespace populace
