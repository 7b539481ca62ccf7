#include "kernels/tile_network.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace featurepool {
namespace {

using Value = std::int32_t;
using Values = std::vector<Value>;

constexpr Value kNone = -1;

/** What is done to values, each of which is made once. */
struct Operation {
  TileStep step = TileStep::exchange;
  Values in;   ///< of a ladder that goes on: four, the carry of the one before is understood
  Values out;  ///< kNone: not needed
};

/** Collects operations on values, and turns them into the code of a network. */
class Builder {
 public:
  Value value() { return values_++; }

  /** The lesser and the greater. */
  std::pair<Value, Value> exchange(Value a, Value b) {
    const Value low = value(), high = value();
    operations_.push_back({TileStep::exchange, {a, b}, {low, high}});
    return {low, high};
  }

  /** Merges two ascending lists (Batcher's odd-even merge, of any lengths). */
  Values merge(const Values& a, const Values& b) {
    Values joins;
    return merge(a, b, true, joins);
  }

  /** Merges ascending lists, the shortest first. */
  Values merge(std::vector<Values> lists) {
    if (lists.empty()) return {};
    const auto shorter = [](const Values& a, const Values& b) { return a.size() < b.size(); };
    while (lists.size() > 1) {
      std::stable_sort(lists.begin(), lists.end(), shorter);
      Values merged = merge(lists[0], lists[1]);
      lists.erase(lists.begin(), lists.begin() + 2);
      lists.push_back(std::move(merged));
    }
    return lists[0];
  }

  Values sort(const Values& values) {
    std::vector<Values> lists;
    lists.reserve(values.size());
    for (const Value v : values) lists.emplace_back(1, v);
    return merge(std::move(lists));
  }

  /** The value of rank `rank` of two ascending lists. */
  Value select(const Values& a, const Values& b, std::size_t rank) {
    // It is the greatest of the lesser of a[i] and b[rank - i], what is beyond a list being greater
    // than everything.
    Operation operation{TileStep::select, {}, {value()}};
    const auto pair = [&](Value low, Value high) {
      operation.in.push_back(low);
      operation.in.push_back(high);
    };
    if (rank >= b.size()) pair(a[rank - b.size()], a[rank - b.size()]);
    if (rank >= a.size()) pair(b[rank - a.size()], b[rank - a.size()]);
    for (std::size_t i = 0; i < a.size() && i <= rank; ++i) {
      if (rank - i < b.size()) pair(a[i], b[rank - i]);
    }
    operations_.push_back(operation);
    return operation.out[0];
  }

  /** Code that makes `results`, given that the first values are the inputs. */
  void finish(const Values& results, std::size_t inputs, std::int64_t unit, TileNetwork& network) {
    prune(results);
    arrange();
    schedule(inputs);
    assign(results, inputs, unit, network);
  }

 private:
  /** Two levels of a merge: the joins of its halves, and its own. */
  struct Joins {
    Values even, odd, own;  ///< operations
  };

  // `top`: whether the joins of the halves belong to this merge.
  Values merge(const Values& a, const Values& b, bool top, Values& joins) {
    if (a.empty()) return b;
    if (b.empty()) return a;
    if (a.size() == 1 && b.size() == 1) {
      const auto [low, high] = exchange(a[0], b[0]);
      return {low, high};
    }
    const auto half = [](const Values& list, std::size_t first) {
      Values values;
      for (std::size_t i = first; i < list.size(); i += 2) values.push_back(list[i]);
      return values;
    };
    Joins here;
    const auto first = static_cast<Value>(operations_.size());
    const Values even = merge(half(a, 0), half(b, 0), !top, here.even);
    const Values odd = merge(half(a, 1), half(b, 1), !top, here.odd);
    Values merged{even[0]};
    std::size_t i = 0;
    for (; i < odd.size() && i + 1 < even.size(); ++i) {
      here.own.push_back(static_cast<Value>(operations_.size()));
      const auto [low, high] = exchange(odd[i], even[i + 1]);
      merged.push_back(low);
      merged.push_back(high);
    }
    if (i < odd.size()) merged.push_back(odd[i]);
    if (i + 1 < even.size()) merged.push_back(even[i + 1]);
    joins = here.own;
    if (!top) return merged;
    if (a.size() == 2 && b.size() == 2) {
      pairs_[joins[0]] = first;
    } else if (!here.even.empty() && !here.odd.empty()) {
      ladders_[joins[0]] = std::move(here);
    }
    return merged;
  }

  /** Drops what no result depends on. */
  void prune(const Values& results) {
    std::vector<bool> needed(static_cast<std::size_t>(values_), false);
    for (const Value v : results) needed[static_cast<std::size_t>(v)] = true;
    for (auto operation = operations_.rbegin(); operation != operations_.rend(); ++operation) {
      bool any = false;
      for (Value& v : operation->out) {
        if (!needed[static_cast<std::size_t>(v)]) v = kNone;
        any = any || v != kNone;
      }
      if (!any) continue;
      for (const Value v : operation->in) needed[static_cast<std::size_t>(v)] = true;
    }
  }

  const Operation& operation(Value index) const {
    return operations_[static_cast<std::size_t>(index)];
  }

  /** How many of these have a result that is needed. */
  std::size_t live(const Values& operations) const {
    return static_cast<std::size_t>(
        std::count_if(operations.begin(), operations.end(), [this](Value o) {
          const Values& out = operation(o).out;
          return std::any_of(out.begin(), out.end(), [](Value v) { return v != kNone; });
        }));
  }

  void append(const Values& operations) {
    for (const Value o : operations) {
      if (live({o}) == 1) arranged_.push_back(operation(o));
    }
  }

  /** Joins exchanges that can stay in registers. What they do is wanted nowhere before. */
  void arrange() {
    std::vector<bool> moved(operations_.size(), false);
    const auto move = [&](const Values& operations) {
      for (const Value o : operations) moved[static_cast<std::size_t>(o)] = true;
    };
    for (const auto& [at, joins] : ladders_) {
      move(joins.even);
      move(joins.odd);
      move(joins.own);
    }
    for (const auto& [at, first] : pairs_) move({first, first + 1, at});
    const auto count = static_cast<Value>(operations_.size());
    for (Value o = 0; o < count; ++o) {
      if (const auto ladder = ladders_.find(o); ladder != ladders_.end()) {
        append_ladder(ladder->second);
      } else if (const auto pair = pairs_.find(o); pair != pairs_.end()) {
        append_pairs({pair->second, pair->second + 1, o});
      } else if (!moved[static_cast<std::size_t>(o)]) {
        append({o});
      }
    }
  }

  void append_pairs(const Values& parts) {
    if (live(parts) < 3) return append(parts);
    const Operation& low = operation(parts[0]);
    const Operation& high = operation(parts[1]);
    const Operation& middle = operation(parts[2]);
    arranged_.push_back({TileStep::merge,
                         {low.in[0], low.in[1], high.in[0], high.in[1]},
                         {low.out[0], middle.out[0], middle.out[1], high.out[1]}});
  }

  void append_ladder(const Joins& joins) {
    const std::size_t steps =
        std::max({joins.even.size(), joins.odd.size(), (joins.own.size() + 1) / 2});
    for (std::size_t i = 0; i < steps; ++i) {
      Values parts;
      if (i < joins.even.size()) parts.push_back(joins.even[i]);
      if (i < joins.odd.size()) parts.push_back(joins.odd[i]);
      if (2 * i < joins.own.size()) parts.push_back(joins.own[2 * i]);
      if (2 * i + 1 < joins.own.size()) parts.push_back(joins.own[2 * i + 1]);
      if (parts.size() < 4 || live(parts) < 4) {
        append(parts);
        continue;
      }
      const Operation& even = operation(parts[0]);
      const Operation& odd = operation(parts[1]);
      const Operation& low = operation(parts[2]);
      const Operation& high = operation(parts[3]);
      arranged_.push_back({TileStep::ladder,
                           {even.in[0], even.in[1], odd.in[0], odd.in[1], low.in[0]},
                           {low.out[0], low.out[1], high.out[0], high.out[1], odd.out[1]}});
    }
  }

  /** Brings like operations together, as far as their order is free. */
  void schedule(std::size_t inputs) {
    constexpr std::size_t kAhead = 96;
    std::vector<bool> made(static_cast<std::size_t>(values_), false);
    std::fill_n(made.begin(), inputs, true);
    std::vector<bool> done(arranged_.size(), false);
    std::vector<Operation> ordered;
    std::size_t seen = 0;
    constexpr std::array kSteps{TileStep::exchange, TileStep::merge, TileStep::ladder,
                                TileStep::select};
    for (std::size_t first = 0; first < arranged_.size();) {
      for (const TileStep step : kSteps) {
        const std::size_t end = std::min(first + kAhead, arranged_.size());
        for (std::size_t i = first; i < end; ++i) {
          const Operation& o = arranged_[i];
          if (done[i] || o.step != step) continue;
          if (!std::all_of(o.in.begin(), o.in.end(),
                           [&](Value v) { return made[static_cast<std::size_t>(v)]; })) {
            continue;
          }
          done[i] = true;
          ordered.push_back(o);
        }
        // Only now: what was just stored is slow to load again.
        for (; seen < ordered.size(); ++seen) {
          for (const Value v : ordered[seen].out) {
            if (v != kNone) made[static_cast<std::size_t>(v)] = true;
          }
        }
        while (first < arranged_.size() && done[first]) ++first;
      }
    }
    arranged_.swap(ordered);
  }

  /** Gives values slots, those that were used last first, and writes the code. */
  void assign(const Values& results, std::size_t inputs, std::int64_t unit, TileNetwork& network) {
    const auto count = static_cast<std::size_t>(values_);
    std::vector<std::size_t> last(count, 0);
    for (std::size_t i = 0; i < arranged_.size(); ++i) {
      for (const Value v : arranged_[i].in) last[static_cast<std::size_t>(v)] = i;
    }
    for (const Value v : results) last[static_cast<std::size_t>(v)] = arranged_.size();
    std::vector<std::int64_t> slot(count, -1);
    std::int64_t slots = 0;
    for (std::size_t i = 0; i < inputs; ++i) slot[i] = slots++;
    std::vector<std::int64_t> free;
    const auto operand = [&](Value v) {
      return static_cast<std::uint16_t>(slot[static_cast<std::size_t>(v)] * unit);
    };
    std::size_t header = 0;
    const std::int64_t bin = slots++;  // for what is not needed
    for (std::size_t i = 0; i < arranged_.size(); ++i) {
      const Operation& o = arranged_[i];
      const bool select = o.step == TileStep::select;
      if (i == 0 || select || o.step != arranged_[i - 1].step) {
        header = network.code.size();
        network.code.push_back(static_cast<std::uint16_t>(o.step));
        network.code.push_back(0);
      }
      network.code[header + 1] += static_cast<std::uint16_t>(select ? o.in.size() / 2 : 1);
      for (const Value v : o.in) network.code.push_back(operand(v));
      for (const Value v : o.in) {
        std::int64_t& of = slot[static_cast<std::size_t>(v)];
        if (last[static_cast<std::size_t>(v)] == i && of >= 0)
          free.push_back(std::exchange(of, -1));
      }
      for (const Value v : o.out) {
        if (v == kNone) {
          network.code.push_back(static_cast<std::uint16_t>(bin * unit));
          continue;
        }
        std::int64_t& of = slot[static_cast<std::size_t>(v)];
        if (free.empty()) free.push_back(slots++);
        of = free.back();
        free.pop_back();
        network.code.push_back(operand(v));
      }
    }
    network.code.push_back(static_cast<std::uint16_t>(TileStep::end));
    for (const Value v : results) network.results.push_back(operand(v));
    network.slots = slots;
  }

  Value values_ = 0;
  std::vector<Operation> operations_;
  std::vector<Operation> arranged_;
  std::map<Value, Joins> ladders_;  ///< by the first of their own joins
  std::map<Value, Value> pairs_;    ///< merges of two and two: the join, the first exchange
};

/** Halves a tile again and again; what its windows share is merged before. */
class TileBuilder {
 public:
  TileBuilder(std::size_t kernel_height, std::size_t kernel_width, std::size_t height,
              std::size_t width)
      : kernel_{kernel_height, kernel_width},
        extent_{height, width},
        rank_((kernel_height * kernel_width - 1) / 2),
        results_(height * width) {}

  void build(std::int64_t unit, TileNetwork& network) {
    const std::size_t lines = kernel_[0] + extent_[0] - 1;
    const std::size_t columns = kernel_[1] + extent_[1] - 1;
    Tile tile;
    tile.size = extent_;
    at_.assign(lines, Values(columns));
    for (std::size_t c = 0; c < columns; ++c) {
      for (std::size_t l = 0; l < lines; ++l) {
        at_[l][c] = builder_.value();
        network.inputs.push_back({static_cast<std::uint16_t>(l), static_cast<std::uint16_t>(c)});
      }
    }
    const Range rows = tile.common(0, kernel_), across = tile.common(1, kernel_);
    std::vector<Values> lists;
    for (std::size_t c = 0; c < columns; ++c) {
      Values column;
      for (std::size_t l = rows.begin; l < rows.end; ++l) column.push_back(at_[l][c]);
      if (across.holds(c)) {
        lists.push_back(std::move(column));
      } else {
        tile.outside[1][c] = std::move(column);
      }
    }
    for (std::size_t l = 0; l < lines; ++l) {
      if (rows.holds(l)) continue;
      Values line(at_[l].begin() + static_cast<std::ptrdiff_t>(across.begin),
                  at_[l].begin() + static_cast<std::ptrdiff_t>(across.end));
      tile.outside[0][l] = builder_.sort(line);
    }
    Values merged = builder_.merge(std::move(lists));
    tile.first = least(merged.size());
    tile.core.assign(merged.begin() + static_cast<std::ptrdiff_t>(tile.first),
                     merged.begin() + static_cast<std::ptrdiff_t>(most(merged.size()) + 1));
    split(tile);
    builder_.finish(results_, network.inputs.size(), unit, network);
  }

 private:
  struct Range {
    std::size_t begin, end;
    bool holds(std::size_t i) const { return i >= begin && i < end; }
    std::size_t size() const { return end - begin; }
  };

  using Extents = std::array<std::size_t, 2>;  ///< along H and W

  /** Windows, and their taps in ascending lists. */
  struct Tile {
    Extents start{0, 0};
    Extents size{1, 1};
    Values core;        ///< of the taps of all windows, those that can be medians
    std::size_t first;  ///< rank, among the taps of all windows, of the first of them
    /** Taps of some windows: lines over the columns of all windows, columns over their lines. */
    std::array<std::map<std::size_t, Values>, 2> outside;

    Range common(std::size_t axis, const Extents& kernel) const {
      return {start[axis] + size[axis] - 1, start[axis] + kernel[axis]};
    }
  };

  /** Ranks among `taps` of its taps from which on, and up to which, one can be a median. */
  std::size_t least(std::size_t taps) const {
    const std::size_t others = kernel_[0] * kernel_[1] - taps;
    return rank_ > others ? rank_ - others : 0;
  }
  std::size_t most(std::size_t taps) const { return std::min(rank_, taps - 1); }

  void split(const Tile& tile) {
    if (tile.size[0] * tile.size[1] == 1) {
      results_[tile.start[0] * extent_[1] + tile.start[1]] = tile.core[0];
      return;
    }
    const std::size_t axis = tile.size[1] >= tile.size[0] ? 1 : 0;
    for (const bool second : {false, true}) {
      Tile part = tile;
      const std::size_t half = tile.size[axis] / 2;
      part.size[axis] = second ? tile.size[axis] - half : half;
      part.start[axis] += second ? half : 0;
      narrow(tile, axis, part);
      split(part);
    }
  }

  /** Adds to the core of `part`, a half of `tile`, what its windows share beyond that of `tile`. */
  void narrow(const Tile& tile, std::size_t axis, Tile& part) {
    const Range before = tile.common(axis, kernel_), now = part.common(axis, kernel_);
    const Range reach{part.start[axis], part.start[axis] + part.size[axis] - 1 + kernel_[axis]};
    std::vector<Values> added;
    std::vector<std::size_t> positions;
    for (const auto& [i, list] : tile.outside[axis]) {
      if (now.holds(i) && !before.holds(i)) {
        added.push_back(list);
        positions.push_back(i);
      }
      if (now.holds(i) || !reach.holds(i)) part.outside[axis].erase(i);
    }
    const std::size_t taps = now.size() * part.common(1 - axis, kernel_).size();
    const std::size_t from = least(taps), to = most(taps);
    const Values others = builder_.merge(std::move(added));
    if (from == to) {
      part.core = {builder_.select(tile.core, others, from - tile.first)};
    } else {
      const Values merged = builder_.merge(tile.core, others);
      const std::size_t end = std::min(to - tile.first + 1, merged.size());
      part.core.assign(merged.begin() + static_cast<std::ptrdiff_t>(from - tile.first),
                       merged.begin() + static_cast<std::ptrdiff_t>(end));
    }
    part.first = from;
    for (auto& [i, list] : part.outside[1 - axis]) {
      Values corner;
      for (const std::size_t position : positions) {
        corner.push_back(axis == 1 ? at_[i][position] : at_[position][i]);
      }
      list = builder_.merge(list, builder_.sort(corner));
    }
  }

  Builder builder_;
  Extents kernel_;
  Extents extent_;
  std::size_t rank_;
  std::vector<Values> at_;  ///< the inputs, line by line
  Values results_;
};

/** Networks that stay where they are once made. */
template <std::size_t kKeys>
class TileNetworks {
 public:
  template <class Make>
  const TileNetwork& get(const std::array<std::int64_t, kKeys>& key, const Make& make) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<const TileNetwork>& network = networks_[key];
    if (network == nullptr) {
      auto made = std::make_unique<TileNetwork>();
      make(*made);
      network = std::move(made);
    }
    return *network;
  }

 private:
  std::mutex mutex_;
  std::map<std::array<std::int64_t, kKeys>, std::unique_ptr<const TileNetwork>> networks_;
};

}  // namespace

const TileNetwork& tile_network(std::int64_t kernel_height, std::int64_t kernel_width,
                                std::int64_t height, std::int64_t width, std::int64_t unit) {
  static TileNetworks<5> networks;
  return networks.get(
      {kernel_height, kernel_width, height, width, unit}, [&](TileNetwork& network) {
        TileBuilder(static_cast<std::size_t>(kernel_height), static_cast<std::size_t>(kernel_width),
                    static_cast<std::size_t>(height), static_cast<std::size_t>(width))
            .build(unit, network);
      });
}

const TileNetwork& line_sorting_network(std::int64_t lines, std::int64_t unit) {
  static TileNetworks<2> networks;
  return networks.get({lines, unit}, [&](TileNetwork& network) {
    Builder builder;
    Values values;
    for (std::int64_t i = 0; i < lines; ++i) {
      values.push_back(builder.value());
      network.inputs.push_back({static_cast<std::uint16_t>(i), 0});
    }
    builder.finish(builder.sort(values), values.size(), unit, network);
  });
}

}  // namespace featurepool
