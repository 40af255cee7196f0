// Vectors of the compiler's own kind, their width a parameter. Included by kernels.cc, inside its namespace.

#ifndef POPULACE_VECTOR
#define POPULACE_VECTOR 32
#endif
#ifdef __AVX512VL__
constexpr bool kManyRegisters = true;  // 32, else 16
#else
constexpr bool kManyRegisters = false;
#endif

constexpr int kLeast = 32;                // bytes of a vector of short rows and few channels
constexpr int kWidest = POPULACE_VECTOR;  // bytes of the widest that the processor has

template <class T, int Bytes = kLeast>
struct Vector {
  typedef T value __attribute__((vector_size(Bytes)));
  typedef T anywhere __attribute__((vector_size(Bytes), aligned(alignof(T)), may_alias));
};

template <class T, int Bytes = kLeast>
constexpr int kLanes = Bytes / sizeof(T);
