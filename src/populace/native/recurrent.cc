// LSTM and GRU over whole sequences, and their gradients, of many members.
//
// Arrays are x (members, rows, steps, inputs), weights (members, inputs, gates units) and (members, units, gates units),
// biases (members, 4 units), states (members, rows, units); without cells it is a GRU. One of a member is shared by all.
//
// A task is a member, or where there are few some rows of one: rows know nothing of one another, and the gradients of
// the weights are sums over blocks of steps with all rows, whoever computes them.
#include <atomic>
#include <memory>

#include "arrays.h"
#include "kernels.h"
#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace populace {
namespace {

constexpr int64_t kTasks = 8, kLeastRows = 8;
constexpr int64_t kBlock = 256;  // rows of a product for the gradients of the weights, about

// Calls at the same time, as on several devices of one process, of which each has its share of the threads.
class Running {
 public:
  Running() { count_.fetch_add(1); }
  ~Running() { count_.fetch_sub(1); }
  // Parts of a member's work: one where there are members enough, or no threads. No number depends on it.
  int64_t cuts_of(const ffi::ThreadPool& pool, int64_t members, double work, int64_t rows) const {
    if (pool.num_threads() / count_.load() < 2) return 1;
    return std::max<int64_t>(1, std::min<int64_t>({int64_t(work / kWorthAThread), kTasks / members, rows / kLeastRows}));
  }

 private:
  static inline std::atomic<int64_t> count_{0};
};

ffi::Error RecurCall(ffi::ThreadPool pool, Any x, Any by_input, Any by_unit, Any bias, Any start, Any cell, Out h, Out last,
                     Out last_cell, Out saved, bool reverse) {
  return by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const Kernels<T>& by = kernels<T>();
    const int64_t members = size(*h, 0), rows = size(*h, 1), steps = size(*h, 2), units = size(*h, 3), inputs = size(x, 3);
    const bool gru = !cell.element_count();
    const int64_t gates = gru ? 3 : 4, whole = (units + by.lanes - 1) / by.lanes * by.lanes;
    const int64_t packed = whole * (4 + (inputs + units) * gates);
    const double each = double(rows * steps) * double(inputs + units) * double(gates * units);
    const Running running;
    const int64_t cuts = running.cuts_of(pool, members, each, rows);
    const auto pack = [&](int64_t m, T* to) {
      by.pack_cell(data<T>(by_input) + m * stride(by_input), data<T>(by_unit) + m * stride(by_unit),
                   data<T>(bias) + m * stride(bias), inputs, units, gru, to);
    };
    const auto compute = [&](int64_t m, const T* weight, Range part) {
      const std::unique_ptr<T[]> room(new T[(part.end - part.begin) * (2 * inputs + 3 * units)]);
      by.recur({data<T>(x) + m * stride(x), weight, data<T>(start) + m * stride(start),
                gru ? nullptr : data<T>(cell) + m * stride(cell), data<T>(*h) + m * per_member(*h),
                data<T>(*last) + m * per_member(*last), data<T>(*last_cell) + m * per_member(*last_cell),
                saved->element_count() ? data<T>(*saved) + m * per_member(*saved) : nullptr, room.get(), steps, inputs, units,
                reverse},
               part);
    };
    const bool shared = !stride(by_input) && !stride(by_unit) && !stride(bias);
    if (cuts == 1 && !(shared && members > 1)) {
      share_out(pool, members, each * double(members), [&](int64_t m) {
        const std::unique_ptr<T[]> to(new T[packed]);
        pack(m, to.get());
        compute(m, to.get(), {0, rows});
      });
      return ffi::Error::Success();
    }
    const int64_t weights = shared ? 1 : members;
    const std::unique_ptr<T[]> to(new T[weights * packed]);
    share_out(pool, weights, double(weights * packed), [&](int64_t m) { pack(m, to.get() + m * packed); });
    share_out(pool, members * cuts, each * double(members), [&](int64_t task) {
      const int64_t m = task / cuts, cut = task % cuts;
      compute(m, to.get() + (shared ? 0 : m) * packed, {rows * cut / cuts, rows * (cut + 1) / cuts});
    });
    return ffi::Error::Success();
  });
}

// Gradients by what comes without entries are 0, and results without entries are not wanted. `room` is for a whole
// sweep of each member, if it has entries: then a member's rows may be cut.
ffi::Error RecurBackCall(ffi::ThreadPool pool, Any x, Any by_input, Any by_unit, Any start, Any cell, Any h, Any saved,
                         Any g, Any g_last, Any g_cell, Out by_x, Out by_weights, Out by_start, Out by_cell, Out room,
                         bool reverse) {
  return by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const Kernels<T>& by = kernels<T>();
    const int64_t members = size(*by_start, 0), rows = size(x, 1), steps = size(x, 2), inputs = size(x, 3);
    const int64_t units = size(by_unit, 1), state = rows * units;
    const bool gru = !cell.element_count(), wants_x = by_x->element_count(), wants_weights = by_weights->element_count();
    const int64_t gates = gru ? 3 : 4, across_row = tiled_channels(units, by.lanes, by.least);
    const int64_t inputs_row = tiled_channels(inputs, by.lanes, by.least), slack = 2 * by.lanes;
    const int64_t at_once = std::min(steps, std::max<int64_t>(1, kBlock / std::max<int64_t>(rows, 1)));
    const int64_t each_pre = 4 * state, each_past = rows * (1 + inputs + units);  // of a step
    const double each = double(rows * steps) * double(gates * units) * double(units + wants_weights * (inputs + units) + wants_x * inputs);
    const Running running;
    const int64_t cuts = room->element_count() ? running.cuts_of(pool, members, each, rows) : 1;
    const auto across_of = [&](int64_t m, T* to) {
      by.transpose(data<T>(by_unit) + m * stride(by_unit), units, gates * units, to, across_row);
      if (wants_x)
        by.transpose(data<T>(by_input) + m * stride(by_input), inputs, gates * units, to + gates * units * across_row, inputs_row);
    };
    const int64_t across_size = gates * units * (across_row + (wants_x ? inputs_row : 0));
    // The gradients by the last state, to begin with; `sweep` makes them those by the first.
    const auto begin = [&](int64_t m, T* dc) {
      T* dh = data<T>(*by_start) + m * state;
      g_last.element_count() ? void(std::copy_n(data<T>(g_last) + m * stride(g_last), state, dh)) : void(std::fill_n(dh, state, T(0)));
      if (gru) return;
      g_cell.element_count() ? void(std::copy_n(data<T>(g_cell) + m * stride(g_cell), state, dc)) : void(std::fill_n(dc, state, T(0)));
    };
    const auto sweep = [&](int64_t m, const T* across, T* pre, T* past, Range of, Range part) {
      by.recur_back({data<T>(x) + m * stride(x), data<T>(start) + m * stride(start),
                     gru ? nullptr : data<T>(cell) + m * stride(cell), data<T>(h) + m * stride(h),
                     data<T>(saved) + m * stride(saved), g.element_count() ? data<T>(g) + m * stride(g) : nullptr, across,
                     across + gates * units * across_row, wants_x ? data<T>(*by_x) + m * per_member(*by_x) : nullptr,
                     data<T>(*by_start) + m * state, data<T>(*by_cell) + m * per_member(*by_cell), pre, past, rows, steps,
                     inputs, units, across_row, inputs_row, reverse},
                    of, part);
    };
    const auto weights = [&](int64_t m, const T* pre, const T* past, int64_t count, bool add, Range part) {
      if (wants_weights)
        by.recur_weights({pre, past, data<T>(*by_weights) + m * per_member(*by_weights), count, inputs, units, gru, add}, part);
    };
    const auto blocks = [&](const auto& compute) {  // from the last step to the first
      for (int64_t end = steps; end > 0; end -= at_once) compute(Range{std::max<int64_t>(end - at_once, 0), end});
    };
    if (cuts == 1) {
      share_out(pool, members, each * double(members), [&](int64_t m) {
        const std::unique_ptr<T[]> held(new T[across_size + at_once * (each_pre + each_past) + slack]);
        T *past = held.get() + across_size, *pre = past + at_once * each_past;
        across_of(m, held.get());
        begin(m, data<T>(*by_cell) + m * per_member(*by_cell));
        blocks([&](Range of) {
          sweep(m, held.get(), pre, past, of, {0, rows});
          weights(m, pre, past, (of.end - of.begin) * rows, of.end < steps, {0, 1 + inputs + units});
        });
      });
      return ffi::Error::Success();
    }
    const std::unique_ptr<T[]> across(new T[members * across_size]);
    share_out(pool, members, double(members * across_size), [&](int64_t m) {
      across_of(m, across.get() + m * across_size);
      begin(m, data<T>(*by_cell) + m * per_member(*by_cell));
    });
    const auto past_of = [&](int64_t m) { return data<T>(*room) + m * per_member(*room); };
    const auto pre_of = [&](int64_t m) { return past_of(m) + steps * each_past; };
    share_out(pool, members * cuts, each * double(members), [&](int64_t task) {
      const int64_t m = task / cuts, cut = task % cuts;
      sweep(m, across.get() + m * across_size, pre_of(m), past_of(m), {0, steps}, {rows * cut / cuts, rows * (cut + 1) / cuts});
    });
    share_out(pool, members * cuts, each * double(members), [&](int64_t task) {
      const int64_t m = task / cuts, cut = task % cuts, all = 1 + inputs + units;
      blocks([&](Range of) {
        const int64_t before = steps - of.end;
        weights(m, pre_of(m) + before * each_pre, past_of(m) + before * each_past, (of.end - of.begin) * rows, before > 0,
                {all * cut / cuts, all * (cut + 1) / cuts});
      });
    });
    return ffi::Error::Success();
  });
}

}  // namespace

#define ANY .Arg<Any>()
#define OUT .Ret<Any>()

#pragma GCC visibility push(default)
XLA_FFI_DEFINE_HANDLER_SYMBOL(populace_recur, RecurCall,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() ANY ANY ANY ANY ANY ANY OUT OUT OUT OUT
                                  .Attr<bool>("reverse"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(populace_recur_back, RecurBackCall,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() ANY ANY ANY ANY ANY ANY ANY ANY ANY ANY OUT OUT OUT OUT OUT
                                  .Attr<bool>("reverse"));
#pragma GCC visibility pop

}  // namespace populace
