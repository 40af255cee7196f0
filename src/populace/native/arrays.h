// The arrays that XLA hands over, and which kernels this processor runs.
#pragma once

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "kernels.h"
#include "xla/ffi/api/ffi.h"

namespace populace {

namespace ffi = xla::ffi;

using Any = ffi::AnyBuffer;
using Out = ffi::Result<ffi::AnyBuffer>;

// The kinds of kernels, the widest last.
constexpr const char* kKinds[] = {"baseline", "avx2", "avx512"};

// Return which of the kinds this processor runs best, or the one that the environment asks for if it can run it.
inline int kind() {
  static const int chosen = [] {
    int best = 0;
#ifdef POPULACE_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = 1;
#endif
#ifdef POPULACE_AVX512
    if (best && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
      best = 2;
#endif
    const char* asked = std::getenv("POPULACE_KERNELS");
    for (int k = 0; asked && k < best; ++k)
      if (!std::strcmp(asked, kKinds[k])) return k;
    return best;
  }();
  return chosen;
}

template <class T>
const Kernels<T>& kernels() {
  static const Kernels<T> best = [] {
#ifdef POPULACE_AVX512
    if (kind() == 2) return kernels_avx512<T>();
#endif
#ifdef POPULACE_AVX2
    if (kind() == 1) return kernels_avx2<T>();
#endif
    return kernels_baseline<T>();
  }();
  return best;
}

inline int64_t size(const Any& a, int axis) { return a.dimensions()[axis]; }

inline int64_t per_member(const Any& a) { return size(a, 0) ? int64_t(a.element_count()) / size(a, 0) : 0; }

// From one member to the next: nothing where all share one.
inline int64_t stride(const Any& a) { return size(a, 0) == 1 ? 0 : per_member(a); }

template <class T>
T* data(const Any& a) {
  return static_cast<T*>(a.untyped_data());
}

// No exception may leave a call: XLA would end the process.
template <class F>
ffi::Error by_type(const Any& a, const F& compute) try {
  if (a.element_type() == ffi::F32) return compute(float());
  if (a.element_type() == ffi::F64) return compute(double());
  return ffi::Error::InvalidArgument("populace's kernels take float32 and float64");
} catch (const std::bad_alloc&) {
  return ffi::Error(ffi::ErrorCode::kResourceExhausted, "memory ran out in a kernel of populace");
}

// Numbers that a task works with, not initialized: a few on the stack, since taking memory and giving it back for
// each member is a twentieth of the step of a small layer.
template <class T>
class Room {
 public:
  explicit Room(int64_t count) : more_(count > kFew ? new T[count] : nullptr) {}
  T* get() { return more_ ? more_.get() : few_; }

 private:
  static constexpr int64_t kFew = 2048;
  std::unique_ptr<T[]> more_;
  T few_[kFew];
};

// XLA takes large results fresh from the system, which hands them out page by page as they are written: 20,000
// interruptions for 80 MB, longer than the sum itself. Ask for pages of 2 MB instead.
inline void ask_for_large_pages(const Any& out) {
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t kPage = 2 << 20;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(out.untyped_data()) + kPage - 1) / kPage * kPage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(out.untyped_data()) + out.size_bytes()) / kPage * kPage;
  // A hint: where it is refused, pages are small.
  if (end > begin + kPage) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace populace
