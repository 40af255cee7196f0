// LSTM and GRU over all steps of a sequence. Included by kernels.cc, inside its namespace.
//
// A tile of some rows and one vector of units holds all gates of these units in registers, so that the activations
// follow the products at once and nothing but states, and what the gradient needs, is written. Every number is one
// sum in the order bias, inputs, units, whatever the width of vectors.

constexpr int kRowsOfCell = kManyRegisters ? 4 : 2;  // rows of a tile of four vectors, one for each gate

// 1 + e^-x, where x is below -43 that of -43. e^y = 2^n e^r with n the whole number next to y / log 2, by Cephes'
// polynomial of e^r, as in attend.h.
constexpr int kLowest = -43;  // the products of two are below the largest number
template <class T>
inline typename Vector<T, kWidest>::value one_and_power(typename Vector<T, kWidest>::value x) {
  using V = typename Vector<T, kWidest>::value;
  x = clamp<T, kWidest>(x, T(kLowest), T(-2 * kLowest));
  if constexpr (sizeof(T) == 8) {
    for (int k = 0; k < kLanes<T, kWidest>; ++k) x[k] = std::exp(-x[k]);
    return T(1) + x;
  } else {
    typedef uint32_t W __attribute__((vector_size(kWidest)));
    constexpr T kRound = T(12582912);  // 1.5 2^23: what is added to it loses its fraction
    const V moved = x * T(-1.44269504088896341) + kRound, n = moved - kRound;
    const V r = n * T(2.12194440e-4) - (x + n * T(0.693359375));
    V series = V{} + T(1.9875691500e-4);
    series = series * r + T(1.3981999507e-3);
    series = series * r + T(8.3334519073e-3);
    series = series * r + T(4.1665795894e-2);
    series = series * r + T(1.6666665459e-1);
    series = series * r + T(5.0000001201e-1);
    const V power = (V)(((W)moved + 127u) << 23);
    return T(1) + (series * r * r + r + T(1)) * power;
  }
}

// Sigmoids of two vectors, 0 below -43, relative error 5e-7: divisions are what activations wait for, so one for both.
template <class T>
inline void sigmoids(typename Vector<T, kWidest>::value& x, typename Vector<T, kWidest>::value& y) {
  using V = typename Vector<T, kWidest>::value;
  const V of_x = one_and_power<T>(x), of_y = one_and_power<T>(y), share = T(1) / (of_x * of_y);
  const V first = of_y * share, second = of_x * share;
  x = x < T(kLowest) ? V{} : first, y = y < T(kLowest) ? V{} : second;
}

// The tanh of one and the sigmoid of another, by one division too.
template <class T>
inline void tanh_and_sigmoid(typename Vector<T, kWidest>::value& x, typename Vector<T, kWidest>::value& y) {
  using V = typename Vector<T, kWidest>::value;
  const Tanh<T, kWidest> parts(x);
  const V of_y = one_and_power<T>(y), share = T(1) / (parts.below * of_y), second = parts.below * share;
  x = parts.of(parts.above * of_y * share);
  y = y < T(kLowest) ? V{} : second;
}

// Gates 0 to 3 of the input part, and those of the recurrent part: a GRU's candidate has two parts.
template <bool kGru>
constexpr int kGates = kGru ? 3 : 4;
template <bool kGru>
constexpr int recurrent_gate(int g) {
  return kGru && g == 2 ? 3 : g;
}

// Numbers that the gradient needs of each step and unit. A tanh takes longer than to write it and read it again.
template <bool kGru>
constexpr int kSavedOf = kGru ? 4 : 6;

// One step of some rows and a vector of units. `before` and `after` hold inputs and hidden states of each row.
template <class T, bool kGru, int kRows>
inline void recur_tile(const Recurrence<T>& s, const T* w, const T* before, T* after, T* cells, int64_t row, int64_t time,
                       int64_t first, int64_t o) {
  using V = typename Vector<T, kWidest>::value;
  using U = typename Vector<T, kWidest>::anywhere;
  constexpr int L = kLanes<T, kWidest>, G = kGates<kGru>;
  const int64_t width = s.inputs + s.units, live = s.units - o;
  V a[kRows][4];
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    const V bias = *reinterpret_cast<const U*>(w + g * L);
#pragma GCC unroll 8
    for (int b = 0; b < kRows; ++b) a[b][g] = bias;
  }
  w += 4 * L;
  const T* x = before + row * width;
  for (int64_t k = 0; k < s.inputs; ++k, ++x, w += G * L) {
    V each[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) each[g] = *reinterpret_cast<const U*>(w + g * L);
#pragma GCC unroll 8
    for (int b = 0; b < kRows; ++b) {
      const T value = x[b * width];
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) a[b][g] += value * each[g];
    }
  }
  for (int64_t k = 0; k < s.units; ++k, ++x, w += G * L) {
    V each[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) each[g] = *reinterpret_cast<const U*>(w + g * L);
#pragma GCC unroll 8
    for (int b = 0; b < kRows; ++b) {
      const T value = x[b * width];
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) a[b][recurrent_gate<kGru>(g)] += value * each[g];
    }
  }
  constexpr int kSaved = kSavedOf<kGru>;
#pragma GCC unroll 8
  for (int b = 0; b < kRows; ++b) {
    const int64_t place = (first + row + b) * s.steps + time;
    V kept[kSaved], h;
    if constexpr (kGru) {
      const V past = load<T>(before + (row + b) * width + s.inputs + o, live);
      V r = a[b][0], z = a[b][1];
      sigmoids<T>(r, z);
      const V n = tanh_of<T, kWidest>(a[b][2] + r * a[b][3]);
      h = n + z * (past - n);
      kept[0] = r, kept[1] = z, kept[2] = n, kept[3] = a[b][3];
    } else {
      V i = a[b][0], f = a[b][1], g = a[b][2], out = a[b][3];
      sigmoids<T>(i, f);
      tanh_and_sigmoid<T>(g, out);
      T* cell = cells + (row + b) * s.units + o;
      const V into = i * g, c = f * load<T>(cell, live) + into;
      store<T>(cell, c, live);
      const V seen = tanh_of<T, kWidest>(c);
      h = out * seen;
      kept[0] = i, kept[1] = f, kept[2] = g, kept[3] = out, kept[4] = c, kept[5] = seen;
    }
    store<T>(after + (row + b) * width + s.inputs + o, h, live);
    store<T>(s.h + place * s.units + o, h, live);
    if (!s.saved) continue;
    T* to = s.saved + place * kSaved * s.units + o;
#pragma GCC unroll 8
    for (int k = 0; k < kSaved; ++k) store<T>(to + k * s.units, kept[k], live);
  }
}

template <class T, bool kGru>
inline void recur_rows(const Recurrence<T>& s, Range rows) {
  constexpr int L = kLanes<T, kWidest>;
  const int64_t count = rows.end - rows.begin, width = s.inputs + s.units;
  const int64_t block = (4 + width * kGates<kGru>)*L;
  T *before = s.room, *after = before + count * width, *cells = after + count * width;
  for (int64_t p = 0; p < count; ++p)
    std::copy_n(s.start + (rows.begin + p) * s.units, s.units, before + p * width + s.inputs);
  if (!kGru) std::copy_n(s.cell + rows.begin * s.units, count * s.units, cells);
  for (int64_t step = 0; step < s.steps; ++step) {
    const int64_t time = s.reverse ? s.steps - 1 - step : step;
    for (int64_t p = 0; p < count; ++p)
      for (int64_t k = 0; k < s.inputs; ++k)
        before[p * width + k] = s.x[((rows.begin + p) * s.steps + time) * s.inputs + k];
    const T* w = s.weight;
    for (int64_t o = 0; o < s.units; o += L, w += block) {
      int64_t p = 0;
      const auto tile = [&](auto size) {
        for (; p + size() <= count; p += size())
          recur_tile<T, kGru, size()>(s, w, before, after, cells, p, time, rows.begin, o);
      };
      tile(std::integral_constant<int, kRowsOfCell>());
      if (kRowsOfCell > 2) tile(std::integral_constant<int, 2>());
      tile(std::integral_constant<int, 1>());
    }
    std::swap(before, after);
  }
  for (int64_t p = 0; p < count; ++p)
    std::copy_n(before + p * width + s.inputs, s.units, s.last + (rows.begin + p) * s.units);
  if (!kGru) std::copy_n(cells, count * s.units, s.last_cell + rows.begin * s.units);
}

template <class T>
void recur(const Recurrence<T>& s, Range rows) {
  s.cell ? recur_rows<T, false>(s, rows) : recur_rows<T, true>(s, rows);
}

// Weights as `recur` reads them: for each vector of units the four biases, then the gates of each input and each unit.
template <class T>
void pack_cell(const T* by_input, const T* by_unit, const T* bias, int64_t inputs, int64_t units, bool gru, T* to) {
  constexpr int L = kLanes<T, kWidest>;
  const int64_t gates = gru ? 3 : 4;
  const auto vectors = [&](const T* from, int64_t count, int64_t live) {
    for (int64_t g = 0; g < count; ++g, to += L)
      for (int64_t c = 0; c < L; ++c) to[c] = c < live ? from[g * units + c] : T(0);
  };
  for (int64_t o = 0; o < units; o += L) {
    vectors(bias + o, 4, units - o);
    for (int64_t k = 0; k < inputs; ++k) vectors(by_input + k * gates * units + o, gates, units - o);
    for (int64_t k = 0; k < units; ++k) vectors(by_unit + k * gates * units + o, gates, units - o);
  }
}
