#pragma once

#include <cstdint>

#include "featurepool/featurepool.h"

namespace featurepool {

/** The C ABI's code of an element type. */
template <typename T>
inline constexpr std::int32_t dtype_of = 0;
template <>
inline constexpr std::int32_t dtype_of<float> = FPOOL_F32;
template <>
inline constexpr std::int32_t dtype_of<double> = FPOOL_F64;
template <>
inline constexpr std::int32_t dtype_of<std::int8_t> = FPOOL_I8;
template <>
inline constexpr std::int32_t dtype_of<std::uint8_t> = FPOOL_U8;
template <>
inline constexpr std::int32_t dtype_of<std::int32_t> = FPOOL_I32;
template <>
inline constexpr std::int32_t dtype_of<std::int64_t> = FPOOL_I64;

/**
 * Calls `f.template operator()<T>()` for the one of Types whose code is `dtype`; nothing if none is
 * (calls were checked): `with_dtype<float, double>(dtype, [&]<typename T>() { ... })`.
 */
template <typename... Types, class F>
void with_dtype(std::int32_t dtype, const F& f) {
  const auto call = [&]<typename T>() {
    if (dtype == dtype_of<T>) f.template operator()<T>();
  };
  (call.template operator()<Types>(), ...);
}

}  // namespace featurepool
