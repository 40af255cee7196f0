// Shares tasks out over threads as XLA's calls do, many at once, so that the thread sanitizer sees every access that
// two threads could make at the same time. Compiled by test_sanitizers.py.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "parallel.h"

namespace {

// Threads that take functions from one queue, as XLA's do.
class Pool {
 public:
  explicit Pool(int count) {
    for (int k = 0; k < count; ++k) threads_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      const std::lock_guard<std::mutex> held(lock_);
      over_ = true;
    }
    more_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  int64_t num_threads() const { return int64_t(threads_.size()); }
  void Schedule(std::function<void()> function) {
    {
      const std::lock_guard<std::mutex> held(lock_);
      waiting_.push_back(std::move(function));
    }
    more_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock<std::mutex> held(lock_);
      more_.wait(held, [this] { return over_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const std::function<void()> next = std::move(waiting_.front());
      waiting_.pop_front();
      held.unlock();
      next();
    }
  }
  std::mutex lock_;
  std::condition_variable more_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  bool over_ = false;
};

void check(bool good, const char* what) {
  if (!good) std::printf("%s\n", what), std::exit(1);
}

constexpr double kMuch = 1e9;  // multiplications: worth every thread

// Let the others have tasks too: the caller would do all before they wake.
void pause() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

// Each task writes its own place, and who called reads all of them.
void once(Pool& pool, int64_t count) {
  std::vector<int64_t> to(count, -1);
  populace::share_out(pool, count, kMuch, [&](int64_t k) {
    pause();
    to[k] = k;
  });
  for (int64_t k = 0; k < count; ++k) check(to[k] == k, "a task was left out");
}

// A task that fails is told to the caller, and only when no other task runs any more.
void failing(Pool& pool, int64_t count) {
  std::vector<int64_t> to(count, 0);
  bool told = false;
  try {
    populace::share_out(pool, count, kMuch, [&](int64_t k) {
      pause();
      if (k == count / 2) throw std::bad_alloc();
      to[k] = 1;
    });
  } catch (const std::bad_alloc&) {
    told = true;
  }
  check(told, "nobody was told of a task that failed");
  to.assign(count, 0);
}

// Every row of every member falls to one task.
void rows(Pool& pool, int64_t members, int64_t together) {
  const std::vector<int32_t> offsets{0, 3, 3, 9, 1000, 1001, 1001, 1010};
  const int64_t count = int64_t(offsets.size()) - 1;
  std::vector<int> times(members * count, 0);
  populace::over_rows(pool, offsets.data(), count, members, together, 100'000,
                      [&](populace::Range some, populace::Range part) {
                        for (int64_t m = some.begin; m < some.end; ++m)
                          for (int64_t i = part.begin; i < part.end; ++i) ++times[m * count + i];
                      });
  for (int found : times) check(found == 1, "a row was left out, or taken twice");
}

}  // namespace

int main() {
  Pool pool(12);  // four for each of the callers
  std::vector<std::thread> callers;  // as the devices of one process
  for (int caller = 0; caller < 3; ++caller)
    callers.emplace_back([&] {
      for (int64_t round = 1; round <= 100; ++round) {
        once(pool, round);
        failing(pool, round);
        rows(pool, round % 7 + 1, round % 2 ? 1 : 4);
      }
    });
  for (std::thread& caller : callers) caller.join();
  std::puts("sound");
}
