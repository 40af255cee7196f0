// Tasks shared out over the threads of a pool, XLA's own: whatever has num_threads() and Schedule(function). Who computes a task changes nothing of it, so that results are the
// same for any number of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <thread>

#include "kernels.h"

namespace populace {

constexpr double kWorthAThread = 400'000;  // multiplications: about 50 microseconds
constexpr int kLooks = 200;                // before a thread that waits for others sleeps: about 50 microseconds

// Call task(0) to task(count - 1), by the caller and, if the work is worth it, by others.
//
// Calls that run at the same time, as on several devices of one process, share the threads there are. The
// caller takes tasks too and waits only for those that others have begun, so that no pool can be blocked.
//
// A task that fails, for want of memory, ends no thread of XLA's, and the caller does not unwind what others still
// work on: when all have ended the caller throws std::bad_alloc.
template <class Pool, class Task>
void share_out(Pool& pool, int64_t count, double work, const Task& task) {
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
    std::atomic<bool> failed{false};
    std::mutex ended_lock;
    std::condition_variable ended;
    int64_t count;
    const Task* task;
    void run() {
      for (int64_t k; (k = next.fetch_add(1)) < count;) {
        try {
          if (!failed.load(std::memory_order_relaxed)) (*task)(k);
        } catch (...) {
          failed.store(true);
        }
        if (done.fetch_add(1, std::memory_order_acq_rel) + 1 < count) continue;
        const std::lock_guard<std::mutex> held(ended_lock);
        ended.notify_all();
      }
    }
    bool over() const { return done.load(std::memory_order_acquire) >= count; }
  };
  static std::atomic<int64_t> calls{0};
  const int64_t at_once = calls.fetch_add(1) + 1;
  const double worth = std::min({double(pool.num_threads()) / at_once, work / kWorthAThread, double(count)});
  auto shared = std::make_shared<Shared>();
  shared->count = count;
  shared->task = &task;
  for (int64_t k = 1; k < static_cast<int64_t>(worth); ++k) pool.Schedule([shared] { shared->run(); });
  shared->run();
  // The others end at about the same time. Where they do not, as on a machine with more work than cores, sleep.
  for (int look = 0; look < kLooks && !shared->over(); ++look) std::this_thread::yield();
  if (!shared->over()) {
    std::unique_lock<std::mutex> held(shared->ended_lock);
    shared->ended.wait(held, [&] { return shared->over(); });
  }
  calls.fetch_sub(1);
  if (shared->failed.load()) throw std::bad_alloc();
}

// Cut members and rows into tasks of about the same number of edges.
template <class Pool, class Compute>
void over_rows(Pool& pool, const int32_t* offsets, int64_t rows, int64_t members,
               int64_t members_at_once, int64_t width, const Compute& compute) {
  constexpr int64_t kTasks = 32;
  const int64_t each = offsets[rows] + rows;  // edges, and a row's own cost
  const double work = double(each) * double(width) * double(members);
  const int64_t blocks = (members + members_at_once - 1) / members_at_once;
  const int64_t cuts = work < 2 * kWorthAThread ? 1 : std::max<int64_t>(1, std::min(rows, kTasks / blocks));
  const auto begins = [&](int64_t k) {  // the first row behind k / cuts of all edges
    if (k == cuts) return rows;
    int64_t low = 0, high = rows;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (offsets[middle] + middle < each * k / cuts) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  share_out(pool, blocks * cuts, work, [&](int64_t k) {
    const int64_t first = k / cuts * members_at_once;
    compute(Range{first, std::min(members, first + members_at_once)}, Range{begins(k % cuts), begins(k % cuts + 1)});
  });
}

}  // namespace populace
