#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "featurepool/featurepool.h"

/** What fuzz targets share: calls of the C ABI made of the fuzzer's bytes, and what must hold. */
namespace featurepool::fuzz {

/**
 * A tensor as a caller gives it: a descriptor, and a buffer of exactly `byte_size` bytes, so that
 * AddressSanitizer sees what lies beyond it.
 */
class Array {
 public:
  Array() = default;
  /** A buffer of `descriptor.byte_size` bytes; `shift` bytes off its alignment. */
  Array(const fpool_tensor& descriptor, std::int64_t shift);

  const fpool_tensor* tensor() const { return present ? &descriptor : nullptr; }
  const void* data() const { return present ? bytes() : nullptr; }
  void* data() { return present ? bytes() : nullptr; }
  std::uint8_t* bytes() const { return buffer_.get() + shift_; }
  std::int64_t size() const { return descriptor.byte_size; }

  fpool_tensor descriptor{};
  bool present = true;  ///< false: null pointers

 private:
  std::int64_t shift_ = 0;
  std::shared_ptr<std::uint8_t[]> buffer_;
};

/** How near the outputs of kernels must be to those of the reference. */
enum class Near {
  kAnywhere,  ///< not compared: rounding may be of any size
  kRounded,   ///< a few roundings of numbers not less than 1
  kSame,      ///< the same bits
};

/** Reads parameters from the fuzzer's bytes: plausible ones as a rule, now and then any. */
class Source {
 public:
  Source(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}

  /** A number in [0, count). */
  int choice(int count) { return bytes_.ConsumeIntegralInRange<int>(0, count - 1); }
  /** True once in `times` cases. */
  bool rarely(int times = 32) { return bytes_.ConsumeIntegralInRange<int>(0, times - 1) == 1; }
  /** A number in [least, most], rarely any. */
  std::int64_t integer(std::int64_t least, std::int64_t most);
  /** An ordinary number, rarely NaN, an infinity, or one of any magnitude. */
  double real(double least, double most);
  std::uint64_t seed() { return bytes_.ConsumeIntegral<std::uint64_t>(); }
  std::int32_t dtype(std::initializer_list<std::int32_t> usual);

  /** N x C x spatial extents of a small input. */
  fpool_tensor input(std::int32_t dtype, int rank);
  /** `like` with other extents, from the first on. */
  static fpool_tensor tensor(const fpool_tensor& like, std::int32_t dtype,
                             std::initializer_list<std::int64_t> extents);
  fpool_window window(int rank, const fpool_tensor& x);
  /** Numbers of any kind; null now and then. */
  std::vector<double> reals(std::int64_t count, double least, double most);
  std::vector<std::int64_t> integers(std::int64_t count, std::int64_t least, std::int64_t most);

  /**
   * The tensor of a descriptor, filled: its size is that of its extents where they are small, now
   * and then another. Rarely, a field of the descriptor is changed.
   */
  Array array(fpool_tensor descriptor);
  /** array(), filled with numbers in [least, most] of an integer type. */
  Array indices(fpool_tensor descriptor, std::int64_t least, std::int64_t most);
  /** The positions that a pooling of `x` wrote, as a rule; else any. */
  template <typename Forward>
  Array positions(const fpool_tensor& mask, const fpool_tensor& x, const fpool_tensor& y,
                  const Forward& forward) {
    Array positions = array(mask);
    if (rarely(8)) return positions;
    const bool tame = tame_;
    Array input = array(x);
    Array output = array(y);
    forward(input, output, positions);
    tame_ = tame;
    return positions;
  }
  /** Whether all elements of all tensors so far are small integers: then sums of them are exact. */
  bool tame() const { return tame_; }
  /** `count` numbers of f64, which the C ABI takes without a descriptor. */
  Array numbers(std::int64_t count);
  /** No tensor: what may be left out. */
  static Array absent();

  /**
   * Makes a call with one thread, with the reference, and now and then with three threads: status,
   * and bits or numbers, must agree. A refused call must name a reason and leave its outputs as
   * they were.
   */
  void check(std::initializer_list<Array*> outputs, Near near,
             const std::function<fpool_status()>& call);

 private:
  void change(fpool_tensor& descriptor);

  FuzzedDataProvider bytes_;
  bool tame_ = true;
};

}  // namespace featurepool::fuzz
