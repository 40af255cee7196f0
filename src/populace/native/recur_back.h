// Gradients of LSTM and GRU. Included by kernels.cc, inside its namespace.
//
// The sweep goes back through time and leaves, for each step and row, the gradients before the activations and what
// the products multiplied, which are a block of consecutive rows; the gradients of the weights are products over such
// blocks, added up block by block in the order of the sweep.

// Gradients of one step by what came before its activations, and what of them goes to the state before directly.
template <class T, bool kGru>
inline void recur_back_row(const RecurrenceBack<T>& s, int64_t row, int64_t time, int64_t before, T* dh, T* dc, T* dz) {
  using V = typename Vector<T, kWidest>::value;
  constexpr int L = kLanes<T, kWidest>, kSaved = kSavedOf<kGru>;
  const int64_t place = row * s.steps + time, H = s.units;
  const bool first = before < 0;
  const T *kept = s.saved + place * kSaved * H, *g = s.by_h ? s.by_h + place * H : nullptr;
  const T* past = kGru ? (first ? s.start + row * H : s.h + (row * s.steps + before) * H)
                       : (first ? s.cell + row * H : s.saved + ((row * s.steps + before) * kSaved + 4) * H);
  for (int64_t o = 0; o < H; o += L) {
    const int64_t live = H - o;
    V by_h = load<T>(dh + o, live);
    if (g) by_h += load<T>(g + o, live);
    const V held = load<T>(past + o, live);
    V by[4];
    if constexpr (kGru) {
      const V r = load<T>(kept + o, live), z = load<T>(kept + H + o, live), n = load<T>(kept + 2 * H + o, live);
      const V part = load<T>(kept + 3 * H + o, live);
      by[2] = by_h * (T(1) - z) * (T(1) - n * n);
      by[3] = by[2] * r;
      by[0] = by[2] * part * r * (T(1) - r);
      by[1] = by_h * (held - n) * z * (T(1) - z);
      store<T>(dh + o, by_h * z, live);
    } else {
      const V i = load<T>(kept + o, live), f = load<T>(kept + H + o, live), c = load<T>(kept + 2 * H + o, live);
      const V out = load<T>(kept + 3 * H + o, live), t = load<T>(kept + 5 * H + o, live);
      const V by_cell = load<T>(dc + o, live) + by_h * out * (T(1) - t * t);
      by[0] = by_cell * c * i * (T(1) - i);
      by[1] = by_cell * held * f * (T(1) - f);
      by[2] = by_cell * i * (T(1) - c * c);
      by[3] = by_h * t * out * (T(1) - out);
      store<T>(dc + o, by_cell * f, live);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) store<T>(dz + k * H + o, by[k], live);
  }
}

// Steps of the sweep, the last first, for some rows of a member. dh and dc hold the gradients by the state behind the
// range, and by that before it afterwards. `pre` and `past` begin with the first step of the range in the sweep's order
// and hold, for each step, all rows of the member.
template <class T, bool kGru>
inline void recur_back_steps(const RecurrenceBack<T>& s, Range steps, Range rows) {
  const int64_t H = s.units, width = 1 + s.inputs + H, G = kGates<kGru>;
  constexpr int L = kLanes<T, kWidest>;
  const int64_t count = rows.end - rows.begin;
  for (int64_t step = steps.end; step-- > steps.begin;) {
    const int64_t time = s.reverse ? s.steps - 1 - step : step, before = step ? time + (s.reverse ? 1 : -1) : -1;
    const int64_t at = (steps.end - 1 - step) * s.rows + rows.begin;
    T *pre = s.pre + at * 4 * H, *past = s.past + at * width;
    for (int64_t p = 0; p < count; ++p, past += width) {
      const int64_t row = rows.begin + p;
      recur_back_row<T, kGru>(s, row, time, before, s.dh + row * H, s.dc + row * H, pre + p * 4 * H);
      past[0] = 1;  // of the biases
      for (int64_t k = 0; k < s.inputs; ++k) past[1 + k] = s.x[(row * s.steps + time) * s.inputs + k];
      const T* unit = before < 0 ? s.start + row * H : s.h + (row * s.steps + before) * H;
      for (int64_t o = 0; o < H; o += L) store<T>(past + 1 + s.inputs + o, load<T>(unit + o, H - o), H - o);
    }
    Dense<T> by{pre, s.across, nullptr, s.dh + rows.begin * H, nullptr, (kGru ? 2 : 4) * H, H, 4 * H, 1, s.across_row, H,
                Activation::none, kGru};
    dense(by, {0, count});
    if (kGru) {  // the candidate's product has a gradient of its own
      by.x = pre + 3 * H, by.weight = s.across + 2 * H * s.across_row, by.units = H;
      dense(by, {0, count});
    }
    if (s.by_x)
      dense<T>({pre, s.across_inputs, nullptr, s.by_x + (rows.begin * s.steps + time) * s.inputs, nullptr, G * H, s.inputs,
                4 * H, 1, s.across_inputs_row, s.steps * s.inputs, Activation::none, false},
               {0, count});
  }
}

template <class T>
void recur_back(const RecurrenceBack<T>& s, Range steps, Range rows) {
  s.cell ? recur_back_steps<T, false>(s, steps, rows) : recur_back_steps<T, true>(s, steps, rows);
}

// Some rows of the gradients of the weights.
template <class T>
void recur_weights(const RecurrenceWeights<T>& s, Range rows) {
  const int64_t H = s.units, width = 1 + s.inputs + H;
  Dense<T> by{s.past, s.pre, nullptr, s.by_weights, nullptr, s.count, 4 * H, 1, width, 4 * H, 4 * H, Activation::none, s.add};
  if (!s.gru) return dense(by, rows);
  dense(by, {rows.begin, std::min(rows.end, 1 + s.inputs)});
  // Units act on the recurrent part of the candidate, and not on that of the inputs.
  const Range units{std::max(rows.begin, 1 + s.inputs), rows.end};
  by.channels = 2 * H;
  dense(by, units);
  by.weight += 3 * H, by.y += 3 * H, by.channels = H;
  dense(by, units);
}
