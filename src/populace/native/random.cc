// Random numbers: what XLA calls for the generator of core/random.py.
#include "arrays.h"
#include "kernels.h"
#include "parallel.h"

namespace populace {
namespace {

using Bits = ffi::Buffer<ffi::U32>;
using OutBits = ffi::Result<ffi::Buffer<ffi::U32>>;

constexpr double kCost = 10;      // multiplications that a number costs as much as
constexpr int64_t kBlock = 4096;  // numbers of a task

ffi::Error encrypt(ffi::ThreadPool& pool, const Bits& keys, const uint32_t* low, bool both, OutBits& out) {
  const int64_t of = int64_t(keys.element_count()) / 2, numbers = int64_t(out->element_count()) / (both ? 2 : 1);
  if (!numbers) return ffi::Error::Success();
  if (!of || numbers % of) return ffi::Error::InvalidArgument("numbers do not divide among the keys");
  const Threefry s{keys.typed_data(), low, out->typed_data(), numbers / of, both};
  share_out(pool, (numbers + kBlock - 1) / kBlock, kCost * double(numbers), [&](int64_t k) {
    kernels<float>().threefry(s, {k * kBlock, std::min(numbers, (k + 1) * kBlock)});
  });
  return ffi::Error::Success();
}

ffi::Error CountCall(ffi::ThreadPool pool, Bits keys, OutBits out, bool both) {
  return encrypt(pool, keys, nullptr, both, out);
}

ffi::Error FoldInCall(ffi::ThreadPool pool, Bits keys, Bits data, OutBits out) {
  if (keys.element_count() != 2 * data.element_count())
    return ffi::Error::InvalidArgument("expected a number to fold into each key");
  return encrypt(pool, keys, data.typed_data(), true, out);
}

}  // namespace

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(populace_count, CountCall,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Bits>().Ret<Bits>().Attr<bool>("both"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(populace_fold_in, FoldInCall,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Bits>().Arg<Bits>().Ret<Bits>());
#pragma GCC visibility pop

}  // namespace populace
