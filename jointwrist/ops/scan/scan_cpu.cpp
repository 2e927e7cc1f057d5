// Selective scan on the CPU, forward and backward, with bias, softplus, skip and gate fused.
//
// Time is cut into chunks. A task walks the chunks of one slice of the channels of one group of one sequence, a block of
// channels at a time, the channels of a block in the lanes of a vector. The state is kept at the ends of the chunks only;
// the backward pass recomputes it inside each. No task writes where another one does, so results do not depend on timing.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>
#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif
typedef float Vec __attribute__((vector_size(W * 4)));
typedef int32_t Int __attribute__((vector_size(W * 4)));

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Int{__VA_ARGS__})
#endif

Vec fill(float value) { return Vec{} + value; }

// ---- elementary functions --------------------------------------------------------------------------------------------

// 2^n 2^f for integers n in [-127, 128] given as `shifted` = n + SHIFT, and f in [-0.5, 0.5]; n = -127 gives 0.
// The polynomial is exact at f = 0, so that decays close to 1 keep their distance from 1.
constexpr float SHIFT = 12582912.f + 127.f;  // 1.5 * 2^23 rounds to integers; 127 is the bias of the exponent

inline Vec scaled_power(Vec shifted, Vec f) {
  Vec p = f * 1.535335e-4f + 1.3398876e-3f;
  p = p * f + 9.618437e-3f;
  p = p * f + 5.5503324e-2f;
  p = p * f + 2.4022648e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.f;
  return p * (Vec)((Int)shifted << 23);
}

// Comparisons are written so that NaN passes through.
inline Vec clamped(Vec x) {
  x = x < -127.f ? fill(-127.f) : x;
  return x > 128.f ? fill(128.f) : x;
}

inline Vec exp2(Vec x) {
  x = clamped(x);
  Vec shifted = x + SHIFT;
  return scaled_power(shifted, x - (shifted - SHIFT));
}

// The same for |x| below `NEAR`: nothing to clamp, and one term less; relative error 8e-8.
constexpr float NEAR = 125.f;
constexpr float ROUND = 12582912.f;

inline Vec near_exp2(Vec x) {
  Vec shifted = x + ROUND, f = x - (shifted - ROUND);
  Vec p = f * 1.3274633e-3f + 9.671962e-3f;
  p = p * f + 5.5506784e-2f;
  p = p * f + 2.4022235e-1f;
  p = p * f + 6.9314706e-1f;
  p = p * f + 1.f;
  return (Vec)((Int)p + ((Int)shifted << 23));
}

struct Anywhere {
  static Vec power(Vec x) { return exp2(x); }
};
struct Near {
  static Vec power(Vec x) { return near_exp2(x); }
};

constexpr float LOG2E = 1.44269504f;

inline Vec exp(Vec x) {
  Vec shifted = clamped(x * LOG2E) + SHIFT;
  Vec n = shifted - SHIFT;
  return scaled_power(shifted, ((x - n * 0.693359375f) + n * 2.12194440e-4f) * LOG2E);  // ln 2 in two parts
}

inline Vec sigmoid(Vec x) {
  Vec t = exp(x < 0.f ? x : -x);
  return (x < 0.f ? t : fill(1.f)) / (1.f + t);
}

// log(1 + e^x), relative precision kept at both ends: log(1 + t) = 2 atanh(t / (2 + t)). The slope is the sigmoid; both
// quotients take one division.
template <bool SLOPE>
inline Vec softplus(Vec x, Vec *slope) {
  Vec t = exp(x < 0.f ? x : -x), s;
  if (SLOPE) {
    Vec shared = 1.f / ((1.f + t) * (2.f + t));
    *slope = (x < 0.f ? t : fill(1.f)) * (2.f + t) * shared;
    s = t * (1.f + t) * shared;
  } else {
    s = t / (2.f + t);
  }
  Vec q = s * s;
  Vec p = q * 0.14095761f + 0.13978836f;
  p = p * q + 0.20012558f;
  p = p * q + 0.33333156f;
  p = p * q + 1.f;
  return (x < 0.f ? fill(0.f) : x) + 2.f * s * p;
}

// Denormal numbers cost a hundred cycles each; they are zero here, in our threads and while we run.
struct FlushDenormals {
#if defined(__SSE__)
  unsigned saved = _mm_getcsr();
  FlushDenormals() { _mm_setcsr(saved | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved); }
#endif
};

// ---- memory ----------------------------------------------------------------------------------------------------------

struct Aligned {
  std::unique_ptr<Vec[]> data;
  explicit Aligned(int64_t count) : data(new Vec[count]()) {}
  operator Vec *() const { return data.get(); }
};

inline Vec load_lanes(const float *p, int64_t stride, int lanes) {
  if (lanes == W && stride == 1) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
#if defined(__AVX512F__)
  if (stride == 1) return (Vec)_mm512_maskz_loadu_ps((1u << lanes) - 1, p);
#endif
  Vec v{};
  for (int i = 0; i < lanes; ++i) v[i] = p[i * stride];
  return v;
}

inline void store_lanes(float *p, int64_t stride, int lanes, Vec v) {
  if (lanes == W && stride == 1) {
    std::memcpy(p, &v, sizeof v);
#if defined(__AVX512F__)
  } else if (stride == 1) {
    _mm512_mask_storeu_ps(p, (1u << lanes) - 1, (__m512)v);
#endif
  } else {
    for (int i = 0; i < lanes; ++i) p[i * stride] = v[i];
  }
}

template <int S, int... J>
inline void exchange(Vec *rows, std::integer_sequence<int, J...>) {
  for (int i = 0; i < W; ++i) {
    if (i & S) continue;
    Vec a = rows[i], b = rows[i + S];
    rows[i] = SHUFFLE(a, b, ((J & S) ? W + J - S : J)...);
    rows[i + S] = SHUFFLE(a, b, ((J & S) ? W + J : J + S)...);
  }
}

template <int S = 1>
inline void transpose(Vec *rows) {
  if constexpr (S < W) {
    exchange<S>(rows, std::make_integer_sequence<int, W>());
    transpose<2 * S>(rows);
  }
}

template <int S, int... J>
inline void fold(Vec *rows, std::integer_sequence<int, J...>) {
  for (int i = 0; i < S; ++i) {
    Vec a = rows[i], b = rows[i + S];
    rows[i] = SHUFFLE(a, b, ((J & S) ? W + J : J)...) + SHUFFLE(a, b, ((J & S) ? W + J - S : J + S)...);
  }
}

// The sums over the lanes of W vectors, side by side; the vectors are lost.
template <int S = W / 2>
inline Vec sums(Vec *rows) {
  fold<S>(rows, std::make_integer_sequence<int, W>());
  if constexpr (S > 1) return sums<S / 2>(rows);
  return rows[0];
}

constexpr int64_t LINE = 16;  // numbers in a cache line

struct View {
  float *data;
  int64_t stride[4];
};

// A block of `lanes` channels and `steps` steps of a (batch, channel, time) tensor, as vectors over time.
struct Block {
  int64_t batch, channel, start, steps;
  int lanes;

  float *origin(const View &v) const {
    return v.data + batch * v.stride[0] + channel * v.stride[1] + start * v.stride[2];
  }

  // Called long before `load`: the steps of a channel are far apart, which no processor foresees. One step at a time, as
  // a processor takes no more than a dozen requests at once.
  void prefetch(const View &v, int64_t t) const {
    if (!v.data || t >= steps) return;
    if (v.stride[2] != 1) {
      for (int64_t i = 0; i < lanes; i += v.stride[1] == 1 ? LINE : 1)
        __builtin_prefetch(origin(v) + i * v.stride[1] + t * v.stride[2]);
    } else if (const int64_t i = t % LINE; i < lanes) {
      for (int64_t far = t - i; far < steps && t < LINE; far += LINE)
        __builtin_prefetch(origin(v) + i * v.stride[1] + far);
    }
  }

  void load(const View &v, Vec *out) const {
    const float *p = origin(v);
    int64_t t = 0;
    if (v.stride[2] == 1 && lanes == W && v.stride[1] != 1) {
      for (; t + W <= steps; t += W) {
        for (int i = 0; i < W; ++i) out[t + i] = load_lanes(p + i * v.stride[1] + t, 1, W);
        transpose(out + t);
      }
    }
    for (; t < steps; ++t) out[t] = load_lanes(p + t * v.stride[2], v.stride[1], lanes);
  }

  void store(const View &v, const Vec *values) const {
    float *p = origin(v);
    int64_t t = 0;
    if (v.stride[2] == 1 && lanes == W && v.stride[1] != 1) {
      for (; t + W <= steps; t += W) {
        Vec rows[W];
        std::copy(values + t, values + t + W, rows);
        transpose(rows);
        for (int i = 0; i < W; ++i) store_lanes(p + i * v.stride[1] + t, 1, W, rows[i]);
      }
    }
    for (; t < steps; ++t) store_lanes(p + t * v.stride[2], v.stride[1], lanes, values[t]);
  }
};

// ---- the problem -----------------------------------------------------------------------------------------------------

struct Sizes {
  int64_t batch, groups, channels, states, length, chunk, slices, threads, softplus;
};

// (batch, channel, time) for u, delta, z; (channel, state) for A; (batch, group, state, time) for B, C; (channel) for D and
// bias. An absent tensor has no data.
struct Inputs {
  View u, delta, A, B, C, D, z, bias;
};

// One slice of one group of one sequence.
struct Task {
  const Sizes &size;
  int64_t batch, group, slice, first, last;  // blocks [first, last) of the group

  Task(const Sizes &s, int64_t index) : size(s) {
    slice = index % s.slices;
    group = index / s.slices % s.groups;
    batch = index / s.slices / s.groups;
    int64_t blocks = (s.channels + W - 1) / W;
    first = blocks * slice / s.slices;
    last = blocks * (slice + 1) / s.slices;
  }

  Block block(int64_t index, int64_t chunk) const {
    int64_t start = chunk * size.chunk;
    return {batch, group * size.channels + index * W, start, std::min(size.chunk, size.length - start),
            (int)std::min<int64_t>(W, size.channels - index * W)};
  }

  // The block after another one when chunks follow each other by `direction`; empty at the end.
  Block next(int64_t index, int64_t chunk, int64_t direction) const {
    if (++index == last) index = first, chunk += direction;
    Block found = block(index, chunk);
    if (found.start < 0) found.steps = 0;
    return found;
  }

  // Rows of B or C over time, states side by side.
  void rows(const View &v, int64_t start, int64_t steps, float *out) const {
    const float *p = v.data + batch * v.stride[0] + group * v.stride[1] + start * v.stride[3];
    for (int64_t t = 0; t < steps; ++t, p += v.stride[3], out += size.states) {
      if (v.stride[2] == 1)
        std::copy(p, p + size.states, out);
      else
        for (int64_t n = 0; n < size.states; ++n) out[n] = p[n * v.stride[2]];
    }
  }
};

int64_t chunks(const Sizes &s) { return (s.length + s.chunk - 1) / s.chunk; }

// NaN if there is a NaN or an infinity among the lanes.
inline float largest(Vec v) {
  float found = 0.f, doubt = 0.f;
  for (int i = 0; i < W; ++i) {
    found = v[i] > found ? v[i] : found;
    doubt += v[i] * 0.f;
  }
  return found + doubt;
}

inline Vec absolute(Vec v) { return (Vec)((Int)v & 0x7fffffff); }

// Step sizes after bias and softplus, and their slope by the input; outside the channels they are 0. Returns the largest
// magnitude of a step, NaN where one is not finite, so that no comparison with it holds.
template <bool SLOPE, class Each>
inline float load_steps(const Inputs &in, const Sizes &size, const Block &block, Vec *step, Vec *slope, Each each) {
  block.load(in.delta, step);
  Vec bias = in.bias.data ? load_lanes(in.bias.data + block.channel, 1, block.lanes) : fill(0.f);
  Vec longest = fill(0.f), doubt = fill(0.f);
  for (int64_t t = 0; t < block.steps; ++t) {
    each(t);
    Vec x = step[t] + bias;
    if (SLOPE && !size.softplus) slope[t] = fill(1.f);
    step[t] = size.softplus ? softplus<SLOPE>(x, slope + t) : x;
    Vec magnitude = absolute(step[t]);
    longest = longest > magnitude ? longest : magnitude;
    doubt += magnitude * 0.f;
  }
  return largest(longest + doubt);
}

// Rates of the channels of a task, N vectors for each block, with the largest magnitude of each NB of them, as above.
template <int NB>
struct Rates {
  Aligned values;
  std::vector<float> fastest;

  Rates(const Sizes &size, const View &A, const Task &task)
      : values((task.last - task.first) * size.states), fastest((task.last - task.first) * size.states / NB) {
    for (int64_t index = task.first, at = 0; index < task.last; ++index) {
      const Block block = task.block(index, 0);
      for (int64_t n = 0; n < size.states; n += NB) {
        Vec found = fill(0.f), doubt = fill(0.f);
        for (int i = 0; i < NB; ++i, ++at) {
          values[at] = load_lanes(A.data + block.channel * size.states + n + i, size.states, block.lanes);
          Vec magnitude = absolute(values[at]);
          found = found > magnitude ? found : magnitude;
          doubt += magnitude * 0.f;
        }
        fastest[(at - 1) / NB] = largest(found + doubt);
      }
    }
  }
};

// ---- forward ---------------------------------------------------------------------------------------------------------

// NB states of a block of channels through the steps of a chunk.
template <int NB, class Exponential>
void walk(int64_t steps, int64_t N, const Vec *step, const Vec *x, const float *b, const float *c, const Vec *rate,
          Vec *state, Vec *out) {
  Vec h[NB];
  for (int i = 0; i < NB; ++i) h[i] = state[i];
  for (int64_t t = 0; t < steps; ++t, b += N, c += N) {
    Vec total = out[t];
    for (int i = 0; i < NB; ++i) {
      h[i] = Exponential::power(step[t] * rate[i]) * h[i] + x[t] * b[i];
      total += h[i] * c[i];
    }
    out[t] = total;
  }
  for (int i = 0; i < NB; ++i) state[i] = h[i];
}

template <int NB>
void forward_task(const Sizes &size, const Inputs &in, const View &y, const View &last, const View &states,
                  const Task &task) {
  const int64_t T = size.chunk, N = size.states;
  std::vector<float> b(T * N), c(T * N);
  const Rates<NB> rates(size, in.A, task);
  Aligned carry((task.last - task.first) * N), u(T), step(T), out(T), gate(T);
  for (int64_t chunk = 0; chunk < chunks(size); ++chunk) {
    const int64_t start = chunk * T, steps = std::min(T, size.length - start);
    task.rows(in.B, start, steps, b.data());
    task.rows(in.C, start, steps, c.data());
    for (int64_t index = task.first; index < task.last; ++index) {
      const Block block = task.block(index, chunk);
      Vec *state = carry + (index - task.first) * N;
      const Block next = task.next(index, chunk, 1);
      block.load(in.u, u);
      const float longest = load_steps<false>(in, size, block, step, nullptr, [&](int64_t t) {
        for (const View *v : {&in.u, &in.delta, &in.z}) next.prefetch(*v, t);
      });
      Vec skip = in.D.data ? load_lanes(in.D.data + block.channel, 1, block.lanes) : fill(0.f);
      for (int64_t t = 0; t < steps; ++t) {
        out[t] = skip * u[t];
        u[t] *= step[t];
      }
      for (int64_t n = 0; n < N; n += NB) {
        const int64_t at = (index - task.first) * N + n;
        Vec h[NB], rate[NB];
        for (int i = 0; i < NB; ++i) {
          h[i] = state[n + i];
          rate[i] = LOG2E * rates.values[at + i];
        }
        const bool near = longest * rates.fastest[at / NB] * LOG2E < NEAR;
        (near ? walk<NB, Near> : walk<NB, Anywhere>)(steps, N, step, u, b.data() + n, c.data() + n, rate, h, out);
        for (int i = 0; i < NB; ++i) state[n + i] = h[i];
      }
      if (in.z.data) {
        block.load(in.z, gate);
        for (int64_t t = 0; t < steps; ++t) out[t] *= gate[t] * sigmoid(gate[t]);
      }
      block.store(y, out);
      const bool end = start + steps == size.length;
      for (int64_t n = 0; n < N; ++n) {
        if (end)
          store_lanes(last.data + task.batch * last.stride[0] + block.channel * N + n, N, block.lanes, state[n]);
        else if (states.data)
          store_lanes(states.data + task.batch * states.stride[0] + chunk * states.stride[1] + n * states.stride[2] +
                          block.channel,
                      1, block.lanes, state[n]);
      }
    }
  }
}

// ---- backward --------------------------------------------------------------------------------------------------------

// Gradients; dA, dD and dbias one for each sequence, dB and dC one for each slice (first stride), to be added by the caller.
struct Gradients {
  View u, delta, A, B, C, D, z, bias;
};

// Decays and states of a chunk again, h[0] being the state before it, and the gradient of C.
template <int NB, class Exponential>
void retrace(int64_t steps, int64_t N, const Vec *__restrict step, const Vec *__restrict x, const float *__restrict b,
             const Vec *__restrict rate, const Vec *__restrict dout, Vec *__restrict a, Vec *__restrict h,
             Vec *__restrict dC) {
  Vec state[NB];
  for (int i = 0; i < NB; ++i) state[i] = h[i];
  for (int64_t t = 0; t < steps; ++t, b += N) {
    for (int i = 0; i < NB; ++i) {
      a[t * NB + i] = Exponential::power(step[t] * rate[i]);
      state[i] = a[t * NB + i] * state[i] + x[t] * b[i];
      h[(t + 1) * NB + i] = state[i];
      dC[t * NB + i] += dout[t] * state[i];
    }
  }
}

// Back through the steps of a chunk with the gradients `g` by the states of NB states of a block of channels.
template <int NB>
void sweep(int64_t steps, int64_t N, const float *__restrict b, const float *__restrict c, const Vec *rates,
           const Vec *__restrict step, const Vec *__restrict u, const Vec *__restrict x, const Vec *__restrict dout,
           const Vec *__restrict a, const Vec *__restrict h, Vec *carry, Vec *dA, Vec *__restrict du,
           Vec *__restrict dstep, Vec *__restrict dB) {
  Vec g[NB], rate[NB], drate[NB];
  for (int i = 0; i < NB; ++i) {
    g[i] = carry[i];
    rate[i] = rates[i];
    drate[i] = dA[i];
  }
  for (int64_t t = steps - 1; t >= 0; --t) {
    const Vec outgoing = dout[t], input = x[t], length = step[t];
    Vec toward_input = fill(0.f), toward_rate = fill(0.f);
    for (int i = 0; i < NB; ++i) {
      g[i] += outgoing * c[t * N + i];
      dB[t * NB + i] += g[i] * input;
      toward_input += g[i] * b[t * N + i];
      g[i] *= a[t * NB + i];
      Vec through = g[i] * h[t * NB + i];
      toward_rate += through * rate[i];
      drate[i] += through * length;
    }
    du[t] += toward_input * length;
    dstep[t] += toward_input * u[t] + toward_rate;
  }
  for (int i = 0; i < NB; ++i) {
    carry[i] = g[i];
    dA[i] = drate[i];
  }
}

template <int NB>
void backward_task(const Sizes &size, const Inputs &in, const View &states, const View &dy, const View &dlast,
                   const Gradients &grad, const Task &task) {
  const int64_t T = size.chunk, N = size.states, blocks = task.last - task.first;
  std::vector<float> b(T * N), c(T * N);
  const Rates<NB> rates(size, in.A, task);
  Aligned carry(blocks * N), dA(blocks * N), dD(blocks), dbias(blocks), dB(T * N), dC(T * N);  // [states / NB][T][NB]
  Aligned u(T), step(T), slope(T), x(T), dout(T), gate(T), dgate(T), out(T), du(T), dstep(T), h((T + 1) * NB), a(T * NB);
  if (dlast.data) {
    for (int64_t index = task.first; index < task.last; ++index) {
      const Block block = task.block(index, 0);
      for (int64_t n = 0; n < N; ++n)
        carry[(index - task.first) * N + n] = load_lanes(
            dlast.data + task.batch * dlast.stride[0] + block.channel * dlast.stride[1] + n * dlast.stride[2],
            dlast.stride[1], block.lanes);
    }
  }
  for (int64_t chunk = chunks(size) - 1; chunk >= 0; --chunk) {
    const int64_t start = chunk * T, steps = std::min(T, size.length - start);
    task.rows(in.B, start, steps, b.data());
    task.rows(in.C, start, steps, c.data());
    std::fill(dB + 0, dB + T * N, Vec{});
    std::fill(dC + 0, dC + T * N, Vec{});
    for (int64_t index = task.first; index < task.last; ++index) {
      const Block block = task.block(index, chunk);
      const int64_t local = index - task.first;
      const Block next = task.next(index, chunk, -1);
      block.load(in.u, u);
      block.load(dy, dout);
      const float longest = load_steps<true>(in, size, block, step, slope, [&](int64_t t) {
        for (const View *v : {&in.u, &in.delta, &in.z, &dy}) next.prefetch(*v, t);
      });
      if (in.z.data) {
        block.load(in.z, gate);
        for (int64_t t = 0; t < steps; ++t) {
          Vec s = sigmoid(gate[t]);
          dgate[t] = dout[t] * s * (1.f + gate[t] * (1.f - s));
          dout[t] *= gate[t] * s;
        }
      }
      Vec skip = in.D.data ? load_lanes(in.D.data + block.channel, 1, block.lanes) : fill(0.f);
      Vec dskip = fill(0.f), doffset = fill(0.f);
      for (int64_t t = 0; t < steps; ++t) {
        x[t] = step[t] * u[t];
        du[t] = skip * dout[t];
        dskip += dout[t] * u[t];
        dstep[t] = fill(0.f);
        out[t] = skip * u[t];
      }
      for (int64_t n = 0; n < N; n += NB) {
        const Vec *rate = rates.values + local * N + n;
        Vec g[NB], drate[NB], fast[NB];
        for (int i = 0; i < NB; ++i) {
          fast[i] = LOG2E * rate[i];
          drate[i] = fill(0.f);
          g[i] = carry[local * N + n + i];
          h[i] = chunk ? load_lanes(states.data + task.batch * states.stride[0] + (chunk - 1) * states.stride[1] +
                                        (n + i) * states.stride[2] + block.channel,
                                    1, block.lanes)
                       : fill(0.f);
        }
        const bool near = longest * rates.fastest[(local * N + n) / NB] * LOG2E < NEAR;
        (near ? retrace<NB, Near> : retrace<NB, Anywhere>)(steps, N, step, x, b.data() + n, fast, dout, a, h, dC + n * T);
        if (in.z.data) {
          for (int64_t t = 0; t < steps; ++t)
            for (int i = 0; i < NB; ++i) out[t] += h[(t + 1) * NB + i] * c[t * N + n + i];
        }
        sweep<NB>(steps, N, b.data() + n, c.data() + n, rate, step, u, x, dout, a, h, g, drate, du, dstep, dB + n * T);
        for (int i = 0; i < NB; ++i) {
          carry[local * N + n + i] = g[i];
          dA[local * N + n + i] += drate[i];
        }
      }
      for (int64_t t = 0; t < steps; ++t) {
        dstep[t] *= slope[t];
        doffset += dstep[t];
      }
      dD[local] += dskip;
      dbias[local] += doffset;
      block.store(grad.u, du);
      block.store(grad.delta, dstep);
      if (in.z.data) {
        for (int64_t t = 0; t < steps; ++t) dgate[t] *= out[t];
        block.store(grad.z, dgate);
      }
    }
    for (auto pair : {std::make_pair(&grad.B, &dB), std::make_pair(&grad.C, &dC)}) {
      const View &v = *pair.first;
      float *p = v.data + (task.slice * size.batch + task.batch) * v.stride[0] + task.group * v.stride[1] +
                 start * v.stride[3];
      for (int64_t n = 0; n < N; ++n) {
        for (int64_t t = 0; t < steps; t += W) {
          Vec rows[W];
          const Vec *from = *pair.second + n / NB * NB * T + t * NB + n % NB;
          for (int i = 0; i < W; ++i) rows[i] = from[i * NB];
          store_lanes(p + n * v.stride[2] + t * v.stride[3], v.stride[3], std::min<int64_t>(W, steps - t), sums(rows));
        }
      }
    }
  }
  for (int64_t index = task.first; index < task.last; ++index) {
    const Block block = task.block(index, 0);
    const int64_t local = index - task.first;
    for (int64_t n = 0; n < N; ++n)
      store_lanes(grad.A.data + task.batch * grad.A.stride[0] + block.channel * N + n, N, block.lanes, dA[local * N + n]);
    store_lanes(grad.D.data + task.batch * grad.D.stride[0] + block.channel, 1, block.lanes, dD[local]);
    store_lanes(grad.bias.data + task.batch * grad.bias.stride[0] + block.channel, 1, block.lanes, dbias[local]);
  }
}

template <class Run>
void parallel(const Sizes &size, Run run) {
  const int64_t tasks = size.batch * size.groups * size.slices;
#pragma omp parallel num_threads(size.threads)
  {
    FlushDenormals guard;
#pragma omp for schedule(dynamic, 1)
    for (int64_t index = 0; index < tasks; ++index) run(Task(size, index));
  }
}

}  // namespace

extern "C" {

int jointwrist_lanes() { return W; }

// States side by side in the inner loop: four hide the latency of the recurrence; one where their number is odd.
void jointwrist_scan_forward(const Sizes *size, const Inputs *in, const View *y, const View *last, const View *states) {
  parallel(*size, [&](const Task &task) {
    (size->states % 4 ? forward_task<1> : forward_task<4>)(*size, *in, *y, *last, *states, task);
  });
}

void jointwrist_scan_backward(const Sizes *size, const Inputs *in, const View *states, const View *dy, const View *dlast,
                              const Gradients *grad) {
  parallel(*size, [&](const Task &task) {
    (size->states % 4 ? backward_task<1> : backward_task<4>)(*size, *in, *states, *dy, *dlast, *grad, task);
  });
}
}
