#pragma once

#include <cmath>
#include <vector>

#include "featurepool/layers.hpp"

namespace featurepool::testing {

/**
 * Seed document 002's MaxPool2D as it stands there, with what its pages leave out filled in the
 * plainest way; elements are had with at() where the seed's operator[] would run out of its vector.
 * Kept to show, fault by fault, that the layer's tests tell the two apart.
 */
class SeedMaxPool2D {
 public:
  SeedMaxPool2D(int kernel_size, int step) : kernel_size(kernel_size), step(step) {}

  std::vector<tensor> forward(const std::vector<tensor>& input) {
    const int batch_size = static_cast<int>(input.size());
    const int H = input.at(0)->H;
    const int W = input.at(0)->W;
    const int C = input.at(0)->C;
    const int out_H = static_cast<int>(std::floor(((H - kernel_size) / step))) + 1;
    const int out_W = static_cast<int>(std::floor(((W - kernel_size) / step))) + 1;
    if (output.empty()) {
      for (int b = 0; b < batch_size; ++b) {
        output.emplace_back(new Tensor(C, out_H, out_W));
        delta_output.emplace_back(new Tensor(C, H, W));
        mask.emplace_back(std::vector<int>(static_cast<std::size_t>(C * out_H * out_W)));
      }
      int pos = 0;
      offset.resize(static_cast<std::size_t>(kernel_size * kernel_size));
      for (int i = 0; i < kernel_size; ++i) {
        for (int j = 0; j < kernel_size; ++j) offset[pos++] = i * W + j;
      }
    }
    const int out_length = out_H * out_W;
    const int length = H * W;
    const int H_kernel = H - kernel_size;
    const int W_kernel = W - kernel_size;
    const int window_range = kernel_size * kernel_size;
    for (int b = 0; b < batch_size; ++b) {
      for (int i = 0; i < C; ++i) {
        const float* const cur_image_features = input[b]->data + i * length;
        float* const output_ptr = output.at(b)->data + i * out_length;
        int* const mask_ptr = mask.at(b).data() + i * out_length;
        int cnt = 0;
        for (int x = 0; x <= H_kernel; x += step) {
          const float* const row_ptr = cur_image_features + x * W;
          for (int y = 0; y <= W_kernel; y += step) {
            float max_value = row_ptr[y];
            int max_index = 0;
            for (int k = 1; k < window_range; ++k) {
              const float comp = row_ptr[y + offset[k]];
              if (max_value < comp) {
                max_value = comp;
                max_index = offset[k];
              }
            }
            output_ptr[cnt] = max_value;
            max_index += x * W + y;
            mask_ptr[cnt] = i * length + max_index;
            ++cnt;
          }
        }
      }
    }
    return output;
  }

  std::vector<tensor> backward(std::vector<tensor>& delta) {
    const int batch_size = static_cast<int>(delta.size());
    for (int b = 0; b < batch_size; ++b) delta_output.at(b)->set_zero();
    const int total_length = static_cast<int>(delta.at(0)->get_length());
    for (int b = 0; b < batch_size; ++b) {
      const int* const mask_ptr = mask.at(b).data();
      const float* const src_ptr = delta[b]->data;
      float* const res_ptr = delta_output[b]->data;
      for (int i = 0; i < total_length; ++i) res_ptr[mask_ptr[i]] = src_ptr[i];
    }
    return delta_output;
  }

  std::vector<std::vector<int>> mask;

 private:
  const int kernel_size;
  const int step;
  std::vector<tensor> output;
  std::vector<tensor> delta_output;
  std::vector<int> offset;
};

}  // namespace featurepool::testing
