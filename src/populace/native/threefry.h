// Threefry-2x32 of 20 rounds (Salmon et al. 2011), on sixteen counters at once.
//
// Included by kernels.cc, once for every kind of processor; the vectors become two of 32 bytes, or four of 16.

typedef uint32_t Words __attribute__((vector_size(64), may_alias));

// Encrypt the counters (x, y) by the keys (key[0], key[1]), in place.
inline void encrypt(const Words (&key)[2], Words& x, Words& y) {
  constexpr int kRotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const Words words[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDAu};
  x += words[0];
  y += words[1];
  for (int block = 0; block < 5; ++block) {
    for (int r : kRotations[block % 2]) {
      x += y;
      y = ((y << r) | (y >> (32 - r))) ^ x;
    }
    x += words[(block + 1) % 3];
    y += words[(block + 2) % 3] + uint32_t(block + 1);
  }
}

inline void threefry(const Threefry& s, Range range) {
  constexpr int64_t kLanes = sizeof(Words) / sizeof(uint32_t);
  constexpr Words kCounted = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  int64_t of = range.begin / s.count, low = range.begin % s.count;  // the key and the counter of a number
  for (int64_t begin = range.begin; begin < range.end; begin += kLanes) {
    const int64_t lanes = std::min(kLanes, range.end - begin);
    Words key[2] = {}, x = {}, y = {};
    if (!s.low && lanes == kLanes && low + kLanes <= s.count) {  // all of one key
      key[0] += s.keys[2 * of];
      key[1] += s.keys[2 * of + 1];
      y = kCounted + uint32_t(low);
      if ((low += kLanes) == s.count) low = 0, ++of;
    } else {
      for (int64_t l = 0; l < lanes; ++l) {
        key[0][l] = s.keys[2 * of];
        key[1][l] = s.keys[2 * of + 1];
        y[l] = s.low ? s.low[begin + l] : uint32_t(low);
        if (++low == s.count) low = 0, ++of;
      }
    }
    encrypt(key, x, y);
    if (s.both) {
      for (int64_t l = 0; l < lanes; ++l) s.to[2 * (begin + l)] = x[l], s.to[2 * (begin + l) + 1] = y[l];
    } else {
      const Words mixed = x ^ y;
      __builtin_memcpy(s.to + begin, &mixed, lanes * sizeof(uint32_t));
    }
  }
}
