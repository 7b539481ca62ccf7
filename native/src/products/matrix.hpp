#pragma once

#include <cstdint>

#include "dispatch/products.hpp"

namespace featurepool {

/** A matrix in memory: rows, or columns, of consecutive elements that are `stride` apart. */
template <typename T>
struct Matrix {
  T* data;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t stride;
  bool by_rows;

  T& operator()(std::int64_t i, std::int64_t j) const {
    return by_rows ? data[i * stride + j] : data[i + j * stride];
  }

  operator Matrix<const T>() const { return {data, rows, columns, stride, by_rows}; }

  Matrix transposed() const { return {data, columns, rows, stride, !by_rows}; }

  Matrix block(std::int64_t i, std::int64_t j, std::int64_t r, std::int64_t c) const {
    return {&(*this)(i, j), r, c, stride, by_rows};
  }

  Matrix rows_of(Span span) const { return block(span.begin, 0, span.size(), columns); }

  Matrix columns_of(Span span) const { return block(0, span.begin, rows, span.size()); }
};

/** The `index`th of the dense matrices by rows that lie one after the other at `data`. */
template <typename T, typename Void>
Matrix<T> matrix_at(Void* data, std::int64_t index, std::int64_t rows, std::int64_t columns) {
  return {static_cast<T*>(data) + index * rows * columns, rows, columns, columns, true};
}

/** The descriptors of the `index`th image: channels x length. */
template <typename T, typename Void>
Matrix<T> image_at(Void* data, std::int64_t index, std::int64_t channels, std::int64_t length,
                   Layout layout) {
  T* const image = static_cast<T*>(data) + index * channels * length;
  if (layout == Layout::planar) return {image, channels, length, length, true};
  return {image, channels, length, channels, false};
}

}  // namespace featurepool
