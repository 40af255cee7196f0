// What XLA calls: checks the arrays that it hands over, and runs the kernel of this processor on its threads.
//
// Arrays that may be missing (weights, order, seeds) have no entries then. Members come first; an array with
// one member is shared by all.
#include <string>

#include "arrays.h"
#include "kernels.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace populace {
namespace {

using Index = ffi::Buffer<ffi::S32>;

constexpr int64_t kBeyondCaches = 32 << 20;  // bytes
constexpr int64_t kShort = 128;              // bytes of a row, below which members are taken together

template <class T>
T* data_if_any(const Any& a) {
  return a.element_count() ? data<T>(a) : nullptr;
}

// Indices from elsewhere must never lead outside an array; looking at them costs little beside using them.
ffi::Error check(const Index& offsets, const Index& columns, const Index& order, int64_t nodes, int64_t edges) {
  const int64_t count = columns.element_count(), rows = int64_t(offsets.element_count()) - 1;
  const int32_t *o = offsets.typed_data(), *c = columns.typed_data(), *r = order.typed_data();
  bool good = rows >= 0 && o[0] == 0 && o[rows] <= count;
  for (int64_t i = 0; i < rows; ++i) good &= o[i] <= o[i + 1];
  for (int64_t p = 0; p < count; ++p) good &= uint32_t(c[p]) < uint64_t(nodes);
  for (int64_t p = 0; p < int64_t(order.element_count()); ++p) good &= uint32_t(r[p]) < uint64_t(edges);
  if (good) return ffi::Error::Success();
  return ffi::Error::InvalidArgument("edges lead outside of their graph; make them with EdgeIndex.of");
}

Rows rows_of(const Index& offsets, const Index& columns, const Index& order) {
  return {offsets.typed_data(), columns.typed_data(), order.element_count() ? order.typed_data() : nullptr};
}

ffi::Error SumCall(ffi::ThreadPool pool, Index offsets, Index columns, Index order, Any weight, Any x, Out out) {
  const Any& y = *out;
  const int64_t edges = weight.element_count() ? size(weight, 1) : int64_t(columns.element_count());
  if (auto bad = check(offsets, columns, order, size(x, 1), edges); bad.failure()) return bad;
  if (!y.element_count()) return ffi::Error::Success();
  ask_for_large_pages(y);
  return by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = size(y, 1), heads = size(y, 2), features = size(y, 3), width = heads * features;
    const Sum<T> s{rows_of(offsets, columns, order), data_if_any<T>(weight), data<T>(x), data<T>(x) + x.element_count(),
                   data<T>(y), rows, heads, features, stride(weight), stride(x), per_member(y),
                   int64_t(y.size_bytes()) > kBeyondCaches, 0};
    const int64_t together = heads == 1 && width * int64_t(sizeof(T)) <= kShort ? 4 : 1;
    over_rows(pool, s.rows.offsets, rows, size(y, 0), together, width,
              [&](Range members, Range part) { kernels<T>().sum(s, members, part, {0, features}); });
    return ffi::Error::Success();
  });
}

ffi::Error ProductsCall(ffi::ThreadPool pool, Index offsets, Index columns, Any x, Any y, Out out) {
  const Any& weight = *out;
  if (auto bad = check(offsets, columns, columns, size(x, 1), size(x, 1)); bad.failure()) return bad;
  if (!weight.element_count()) return ffi::Error::Success();
  return by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const Products<T> s{{offsets.typed_data(), columns.typed_data(), nullptr}, data<T>(x), data<T>(y),
                        data<T>(weight), size(x, 2), size(x, 3), stride(x), stride(y), per_member(weight)};
    over_rows(pool, s.rows.offsets, size(y, 1), size(weight, 0), 1, s.heads * s.features,
              [&](Range members, Range part) { kernels<T>().products(s, members, part); });
    return ffi::Error::Success();
  });
}

ffi::Error MaximumCall(ffi::ThreadPool pool, Index offsets, Index columns, Any x, Out out, Out which) {
  const Any& y = *out;
  if (auto bad = check(offsets, columns, columns, size(x, 1), size(x, 1)); bad.failure()) return bad;
  if (!y.element_count()) return ffi::Error::Success();
  ask_for_large_pages(y);
  ask_for_large_pages(*which);
  return by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const Maximum<T> s{{offsets.typed_data(), columns.typed_data(), nullptr}, data<T>(x), data<T>(y),
                       data<int32_t>(*which), size(x, 2) * size(x, 3), stride(x), per_member(y)};
    over_rows(pool, s.rows.offsets, size(y, 1), size(y, 0), 1, s.features,
              [&](Range members, Range part) { kernels<T>().maximum(s, members, part); });
    return ffi::Error::Success();
  });
}

ffi::Error ChosenCall(ffi::ThreadPool pool, Index offsets, Index columns, Index order, Any which, Any y, Out out) {
  const Any& x = *out;
  if (auto bad = check(offsets, columns, order, size(y, 1), columns.element_count()); bad.failure()) return bad;
  if (!x.element_count()) return ffi::Error::Success();
  ask_for_large_pages(x);
  return by_type(y, [&](auto zero) {
    using T = decltype(zero);
    const Chosen<T> s{rows_of(offsets, columns, order), data<int32_t>(which), data<T>(y), data<T>(x),
                      size(y, 2) * size(y, 3), stride(which), stride(y), per_member(x)};
    over_rows(pool, s.rows.offsets, size(x, 1), size(x, 0), 1, s.features,
              [&](Range members, Range part) { kernels<T>().chosen(s, members, part); });
    return ffi::Error::Success();
  });
}

template <class T>
Attention<T> attention(const Any& seeds, const Any& settings, const Any& s, const Any& t, const Any& x,
                       const Any& largest, const Any& inverse, bool shared) {
  return {data<T>(s), data<T>(t), data<T>(x), data<T>(x) + x.element_count(), data<T>(settings),
          data_if_any<uint32_t>(seeds), data<T>(largest), data<T>(inverse),
          size(x, 2), size(x, 3), stride(s), stride(t), stride(x),
          shared ? stride(largest) : per_member(largest), stride(settings), stride(seeds)};
}

ffi::Error AttendCall(ffi::ThreadPool pool, Index offsets, Index columns, Any seeds, Any settings, Any s, Any t, Any x,
                      Out out, Out largest, Out inverse) {
  const Any& y = *out;
  if (auto bad = check(offsets, columns, columns, size(x, 1), size(x, 1)); bad.failure()) return bad;
  if (!largest->element_count()) return ffi::Error::Success();
  ask_for_large_pages(y);
  return by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const Attend<T> a{attention<T>(seeds, settings, s, t, x, *largest, *inverse, false),
                      {offsets.typed_data(), columns.typed_data(), nullptr}, data<T>(y), per_member(y)};
    over_rows(pool, a.rows.offsets, size(y, 1), size(y, 0), 1, a.by.heads * (a.by.features + 16),
              [&](Range members, Range part) { kernels<T>().attend(a, members, part); });
    return ffi::Error::Success();
  });
}

ffi::Error AttendBackCall(ffi::ThreadPool pool, Index offsets, Index columns, Index order, Any seeds, Any settings,
                          Any s, Any t, Any x, Any largest, Any inverse, Any y, Any g, Out by_s, Out by_x,
                          Out by_edge, Out inner) {
  if (auto bad = check(offsets, columns, order, size(t, 1), columns.element_count()); bad.failure()) return bad;
  if (!by_s->element_count()) return ffi::Error::Success();
  ask_for_large_pages(*by_x);
  return by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const Inner<T> before{data<T>(g), data<T>(y), data<T>(*inner), size(y, 2), size(y, 3),
                          stride(g), stride(y), per_member(*inner)};
    const int64_t targets = size(y, 1), members = size(*inner, 0), cuts = 16;
    share_out(pool, members * cuts, double(before.heads * before.features) * double(targets * members), [&](int64_t k) {
      const int64_t m = k / cuts, part = k % cuts;
      kernels<T>().inner(before, {m, m + 1}, {targets * part / cuts, targets * (part + 1) / cuts});
    });
    const AttendBack<T> a{attention<T>(seeds, settings, s, t, x, largest, inverse, true), rows_of(offsets, columns, order),
                          data<T>(*inner), data<T>(g), data<T>(g) + g.element_count(), data<T>(*by_x),
                          data<T>(*by_s), data<T>(*by_edge), per_member(*inner), stride(g), per_member(*by_x), per_member(*by_s), per_member(*by_edge)};
    over_rows(pool, a.rows.offsets, size(x, 1), size(*by_s, 0), 1, a.by.heads * (2 * a.by.features + 16),
              [&](Range members, Range part) { kernels<T>().attend_back(a, members, part); });
    return ffi::Error::Success();
  });
}

}  // namespace

#pragma GCC visibility push(default)  // for XLA and Python; all else stays inside

#define POPULACE_CALL(NAME, FUNCTION, ...) \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(NAME, FUNCTION, ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() __VA_ARGS__)
#define INDEX .Arg<Index>()
#define ANY .Arg<Any>()
#define OUT .Ret<Any>()

POPULACE_CALL(populace_sum, SumCall, INDEX INDEX INDEX ANY ANY OUT);
POPULACE_CALL(populace_products, ProductsCall, INDEX INDEX ANY ANY OUT);
POPULACE_CALL(populace_maximum, MaximumCall, INDEX INDEX ANY OUT OUT);
POPULACE_CALL(populace_chosen, ChosenCall, INDEX INDEX INDEX ANY ANY OUT);
POPULACE_CALL(populace_attend, AttendCall, INDEX INDEX ANY ANY ANY ANY ANY OUT OUT OUT);
POPULACE_CALL(populace_attend_back, AttendBackCall,
              INDEX INDEX INDEX ANY ANY ANY ANY ANY ANY ANY ANY ANY OUT OUT OUT OUT);

}  // namespace populace

// What all this was built from, for native.py to compare.
extern "C" const char* populace_native_sources() { return POPULACE_SOURCES; }

extern "C" const char* populace_native_kind() { return populace::kKinds[populace::kind()]; }

#pragma GCC visibility pop
