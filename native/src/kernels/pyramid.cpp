// Spatial pyramids: the bins of all levels from one read of the planes. Maxima of coarse bins are
// those of finer bins, where these cover them.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/scratch.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pyramid.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/bin_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace pyramid {

// Bins of a level that are written at once, and kept for levels that are made of them.
constexpr std::int64_t kBinsAtOnce = 512;

/** For every bin of an axis the bins of a finer level that make it up; empty if some do not. */
inline std::vector<Span> Cover(const Axis& fine, const Axis& coarse) {
  std::vector<Span> cover;
  for (std::int64_t o = 0; o < coarse.output; ++o) {
    const Span bin = BinOf(coarse, o);
    std::int64_t first = 0;
    while (first < fine.output && BinOf(fine, first).begin < bin.begin) ++first;
    std::int64_t end = first;
    std::int64_t reached = bin.begin;
    while (end < fine.output && BinOf(fine, end).begin <= reached &&
           BinOf(fine, end).end <= bin.end) {
      reached = BinOf(fine, end++).end;
    }
    if (end == first || BinOf(fine, first).begin != bin.begin || reached != bin.end) return {};
    cover.push_back({first, end});
  }
  return cover;
}

/** How a level comes about. */
struct Level {
  const Geometry* bins;
  std::int64_t output;     ///< first element of the level in an image's vector
  std::int64_t kept;       ///< first of its bins among those that are kept
  const Level* base;       ///< the level that it is made of; null: the planes
  std::vector<Span> rows;  ///< of the base, for each row of bins
  std::vector<Span> columns;
  BinPlaces places;

  std::int64_t size() const { return bins->output_plane(); }
};

/** The levels, those with most bins first. */
inline std::vector<Level> LevelsOf(const Pyramid& p, bool join) {
  std::vector<Level> levels;
  std::int64_t output = 0;
  for (const Geometry& bins : p.levels) {
    levels.push_back({&bins, output, 0, nullptr, {}, {}, PlacesOf(bins)});
    output += p.channels() * bins.output_plane();
  }
  std::stable_sort(levels.begin(), levels.end(),
                   [](const Level& a, const Level& b) { return a.size() > b.size(); });
  std::int64_t kept = 0;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    Level& level = levels[i];
    level.kept = kept;
    kept += std::min(level.size(), kBinsAtOnce);
    for (std::size_t j = i; join && j-- > 0 && level.base == nullptr;) {
      if (levels[j].size() > kBinsAtOnce) continue;
      level.rows = Cover(levels[j].bins->h(), level.bins->h());
      level.columns = Cover(levels[j].bins->w(), level.bins->w());
      if (!level.rows.empty() && !level.columns.empty()) level.base = &levels[j];
    }
  }
  return levels;
}

/** Reduces all levels of groups of channels. */
template <class R, bool kPositions>
class Levels {
 public:
  using Index = std::int32_t;

  explicit Levels(const Pyramid& p)
      : p_(p),
        levels_(LevelsOf(p, R::kIdempotent && !kPositions)),
        lanes_(p.levels[0], p.layout, p.input + p.levels[0].input_size()),
        kept_(Kept() * lanes_.lanes()),
        kept_at_(kPositions ? Kept() * lanes_.lanes() : 0) {}

  /** `count` channels of an image from `first` on; returns what their elements may hold. */
  int Run(std::int64_t image, std::int64_t first, std::int64_t count) {
    const std::int64_t plane = p_.plane();
    const float* x = p_.input + image * p_.channels() * plane +
                     first * (p_.layout == Layout::planar ? plane : 1);
    x = lanes_.Read(x, count);
    int found = 0;
    for (const Level& level : levels_) {
      const std::int64_t width = level.bins->w().output;
      const std::int64_t at_once = kBinsAtOnce / width;
      for (std::int64_t row = 0; row < level.bins->h().output; row += at_once) {
        const Span rows{row, std::min(level.bins->h().output, row + at_once)};
        float* kept = kept_.get() + level.kept * lanes_.lanes();
        Index* at = kPositions ? kept_at_.get() + level.kept * lanes_.lanes() : nullptr;
        if constexpr (R::kIdempotent && !kPositions) {
          if (level.base != nullptr) {
            Join(level, rows, kept);
          } else {
            found |= lanes_.Reduce(level.places, x, count, rows, kept, at);
          }
        } else {
          found |= lanes_.Reduce(level.places, x, count, rows, kept, at);
        }
        if constexpr (!R::kIdempotent) Divide(level, rows, kept);
        const std::int64_t to = image * p_.length() + level.output + first * level.size();
        const Span bins{rows.begin * width, rows.end * width};
        Write(level, bins, count, kept, static_cast<float*>(p_.output) + to);
        if constexpr (kPositions) {
          if (p_.mask != nullptr) Write(level, bins, count, at, p_.mask + to);
        }
      }
    }
    return found;
  }

 private:
  std::int64_t Kept() const {
    const Level& last = levels_.back();
    return last.kept + std::min(last.size(), kBinsAtOnce);
  }

  void Join(const Level& level, Span rows, float* out) const {
    const Level& base = *level.base;
    const float* from = kept_.get() + base.kept * lanes_.lanes();
    for (std::int64_t r = rows.begin; r < rows.end; ++r) {
      for (const Span& columns : level.columns) {
        lanes_.Join(from, base.bins->w().output, level.rows[static_cast<std::size_t>(r)], columns,
                    out);
        out += lanes_.lanes();
      }
    }
  }

  void Divide(const Level& level, Span rows, float* out) const {
    const typename R::D d;
    for (std::int64_t r = rows.begin; r < rows.end; ++r) {
      const std::int64_t height = level.places.rows[static_cast<std::size_t>(r)].size();
      for (const Span& columns : level.places.columns) {
        const auto elements = hn::Set(d, static_cast<float>(height * columns.size()));
        for (std::int64_t c = 0; c < lanes_.lanes(); c += LaneCount(d)) {
          hn::StoreU(hn::Div(hn::LoadU(d, out + c), elements), d, out + c);
        }
        out += lanes_.lanes();
      }
    }
  }

  /** Writes some bins of `count` channels, channel by channel. */
  template <typename T>
  void Write(const Level& level, Span bins, std::int64_t count, const T* from, T* to) const {
    const std::int64_t size = level.size();
    TurnLanes(from, lanes_.lanes(), bins.size(), count, to + bins.begin, size);
  }

  const Pyramid& p_;
  const std::vector<Level> levels_;
  BinLanes<R, kPositions> lanes_;
  const Line<float> kept_;
  const Line<Index> kept_at_;
};

/** Calls `run(image, first channel, count)` for the items of a call. */
template <class F>
void EachGroup(const Pyramid& p, Span items, const F& run) {
  if (p.layout == Layout::interleaved) {
    const std::int64_t strips = (p.channels() + kBinChannels - 1) / kBinChannels;
    for (std::int64_t item = items.begin; item < items.end; ++item) {
      const std::int64_t first = item % strips * kBinChannels;
      run(item / strips, first, std::min(kBinChannels, p.channels() - first));
    }
    return;
  }
  const std::int64_t lanes = LaneCount(hn::ScalableTag<float>());
  for (std::int64_t item = items.begin; item < items.end;) {
    const std::int64_t first = item % p.channels();
    const std::int64_t count = std::min({lanes, p.channels() - first, items.end - item});
    run(item / p.channels(), first, count);
    item += count;
  }
}

inline void Forward(const Pyramid& p, Span items) {
  if (p.average) {
    Levels<SumOf<float>, false> sums(p);
    EachGroup(p, items, [&](std::int64_t image, std::int64_t first, std::int64_t count) {
      sums.Run(image, first, count);
    });
    return;
  }
  using R = MaxOf<float>;
  std::unique_ptr<Levels<R, true>> exact;
  if (p.mask != nullptr) exact = std::make_unique<Levels<R, true>>(p);
  std::unique_ptr<Levels<R, false>> fast;
  if (p.mask == nullptr) fast = std::make_unique<Levels<R, false>>(p);
  EachGroup(p, items, [&](std::int64_t image, std::int64_t first, std::int64_t count) {
    if (fast != nullptr && fast->Run(image, first, count) == 0) return;
    if (exact == nullptr) exact = std::make_unique<Levels<R, true>>(p);
    exact->Run(image, first, count);
  });
}

}  // namespace pyramid
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

/** Rows of more bins are rare, and the working memory stays small. */
bool accepts_levels(const Pyramid& p) {
  return std::all_of(p.levels.begin(), p.levels.end(), [](const Geometry& level) {
    return level.w().output <= HWY_NAMESPACE::pyramid::kBinsAtOnce;
  });
}

std::int64_t levels_items(const Pyramid& p) {
  using HWY_NAMESPACE::kBinChannels;
  if (p.layout == Layout::planar) return p.levels[0].planes();
  return p.batch() * ((p.channels() + kBinChannels - 1) / kBinChannels);
}

}  // namespace

std::span<const KernelOf<Pyramid>> pyramid_forward_kernels() {
  static const KernelOf<Pyramid> kernels[] = {
      {"levels", accepts_levels, levels_items, FEATUREPOOL_TIERED_UP_TO_AVX2(pyramid::Forward)}};
  return kernels;
}

}  // namespace featurepool
#endif
