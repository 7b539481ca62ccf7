package org.featurepool.cli.gallery;

/** How the page looks: one column on a phone, light or dark as the reader's system is. */
final class Style {
  static final String CSS =
      """
      :root {
        color-scheme: light dark;
        --page: #faf8f3; --ink: #23252e; --soft: #646878; --line: #e2dccf; --card: #fffefb;
        --accent: #b5472b; --cool: #2a6c9b; --hit: #ffd98a; --hit-ink: #4a2b00; --odd: #f3ede0;
        --good: #24733f; --good-back: #e4f2e6; --bad: #a3201a; --bad-back: #fbe4e1; --bar: #e9b48c;
      }
      @media (prefers-color-scheme: dark) {
        :root {
          --page: #14161d; --ink: #e4e2dc; --soft: #9a9eae; --line: #2f3341; --card: #1b1e28;
          --accent: #f08a66; --cool: #7ab8e6; --hit: #7a5210; --hit-ink: #ffe9c2; --odd: #222633;
          --good: #8fd6a2; --good-back: #1c3326; --bad: #ff9d92; --bad-back: #46201d;
          --bar: #7d4a30;
        }
      }
      * { box-sizing: border-box; }
      html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
      body {
        margin: 0; background: var(--page); color: var(--ink);
        font: 18px/1.6 Charter, "Bitstream Charter", "Iowan Old Style", Palatino, Georgia, serif;
      }
      main { max-width: 1080px; margin: 0 auto; padding: 0 24px 64px; }
      p { max-width: 44em; margin: 0 0 1em; }
      h1, h2, h3 { line-height: 1.2; font-weight: 600; text-wrap: balance; }
      h1 { font-size: clamp(2rem, 6vw, 3.2rem); margin: 0 0 .4em; letter-spacing: -.02em; }
      h2 { font-size: clamp(1.6rem, 4vw, 2.1rem); margin: 0 0 .5em; letter-spacing: -.01em; }
      h3 { font-size: 1.2rem; margin: 0 0 .3em; }
      section { padding: 56px 0 8px; border-top: 1px solid var(--line); margin-top: 48px; }
      article {
        background: var(--card); border: 1px solid var(--line); border-radius: 12px;
        padding: 24px; margin: 24px 0;
      }
      .top { padding: 64px 0 0; }
      .top + section { border-top: 0; margin-top: 0; padding-top: 40px; }
      .lead { font-size: 1.2rem; }
      .kicker, .badge, nav, figcaption, .formula, .legend, table, .machine, footer, summary {
        font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
      }
      .kicker {
        color: var(--accent); font-size: .8rem; font-weight: 600; letter-spacing: .12em;
        text-transform: uppercase; margin-bottom: .8em;
      }
      .contents {
        display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; font-size: .95rem;
        margin: 24px 0 0;
      }
      .contents dt { font-weight: 600; }
      .contents dd { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0; }
      a { color: var(--cool); text-underline-offset: 3px; }
      figure { margin: 0; min-width: 0; }
      figure img {
        display: block; width: 100%; height: auto; border-radius: 6px; background: #888;
      }
      .crisp { image-rendering: pixelated; }
      figcaption { font-size: .82rem; color: var(--soft); padding: 6px 2px 0; line-height: 1.4; }
      figcaption:empty { display: none; }
      .input { display: grid; grid-template-columns: 3fr 2fr; gap: 28px; align-items: start; }
      .window header { display: flex; gap: 20px; align-items: center; margin-bottom: 14px; }
      .formula { color: var(--soft); font-size: .9rem; margin: 0; }
      .sketch { flex: none; max-width: 42%; height: auto; overflow: visible; }
      .sketch rect { fill: none; stroke: var(--line); }
      .sketch .pad { stroke-dasharray: 2 2; stroke: var(--soft); opacity: .55; }
      .sketch .pix { fill: var(--odd); }
      .sketch .first { fill: var(--accent); stroke: none; opacity: .85; }
      .sketch .second { stroke: var(--cool); stroke-width: 2; }
      .sketch text { fill: var(--ink); font: 600 13px system-ui, sans-serif; text-anchor: middle; }
      .wholes {
        display: grid; gap: 16px; margin: 16px 0;
        grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr));
      }
      .closeups {
        display: grid; gap: 12px; margin: 16px 0;
        grid-template-columns: repeat(auto-fit, minmax(96px, 1fr));
      }
      .thirds, .strip { display: grid; gap: 14px; margin: 16px 0; align-items: start; }
      .thirds { grid-template-columns: repeat(auto-fill, minmax(min(240px, 100%), 1fr)); }
      .strip { grid-template-columns: repeat(auto-fit, minmax(min(150px, 45%), 1fr)); }
      .exhibit .grids { margin: 16px 0; }
      .exhibit h3 { font-size: 1.35rem; }
      .exhibit .formula { margin-bottom: 14px; }
      .exhibit .formula span { color: var(--ink); margin-right: 10px; }
      code {
        font: .8rem ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
        background: var(--odd); border-radius: 4px; padding: 1px 6px; white-space: nowrap;
      }
      .drawn svg { display: block; max-width: 100%; height: auto; }
      .strip .drawn svg, .thirds .drawn svg { width: 100%; }
      .drawn svg image { image-rendering: pixelated; }
      .drawn text { fill: var(--ink); font: 15px system-ui, -apple-system, sans-serif; }
      .drawn .number, .drawn .middle { text-anchor: middle; }
      .drawn .end { text-anchor: end; }
      .drawn .number { font-variant-numeric: tabular-nums; }
      .drawn .small { font-size: 12px; fill: var(--soft); }
      .drawn .sample { fill: var(--cool); stroke: var(--card); stroke-width: 1.5; }
      .drawn .light { fill: #fff; font-weight: 600; }
      .drawn .cell { fill: none; stroke: var(--line); }
      .drawn .bar0 { fill: var(--accent); }
      .drawn .bar1 { fill: var(--cool); }
      .drawn .bar2 { fill: var(--good); }
      .drawn .first { fill: none; stroke: var(--accent); stroke-width: 2.5; }
      .drawn .second { fill: none; stroke: var(--cool); stroke-width: 2.5; }
      .drawn .third { fill: none; stroke: var(--good); stroke-width: 2.5; }
      .drawn .bold { stroke: var(--ink); stroke-width: 3; stroke-linecap: round; }
      .drawn .point { stroke: var(--card); stroke-width: 1.5; }
      .drawn .axis { stroke: var(--soft); fill: none; }
      .drawn .under, .drawn .over { fill: none; vector-effect: non-scaling-stroke; }
      .drawn .under { stroke: #000; stroke-opacity: .5; stroke-width: 2.4px; }
      .drawn .over { stroke: #fff; stroke-width: 1px; }
      .minis {
        display: grid; gap: 12px; margin: 16px 0;
        grid-template-columns: repeat(auto-fill, minmax(136px, 1fr));
      }
      .badges { display: flex; flex-wrap: wrap; gap: 6px; margin: 12px 0; max-width: none; }
      .badge {
        font-size: .78rem; line-height: 1.4; padding: 3px 10px; border-radius: 12px;
        border: 1px solid var(--line); color: var(--soft);
      }
      .badge.good { color: var(--good); background: var(--good-back); border-color: transparent; }
      .badge.bad { color: var(--bad); background: var(--bad-back); border-color: transparent; }
      .legend {
        display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; font-size: .82rem;
        color: var(--soft);
      }
      .legend i { width: 160px; height: 12px; border-radius: 6px; }
      .legend em { font-style: normal; }
      .grids { display: flex; flex-wrap: wrap; gap: 20px 28px; align-items: flex-end; }
      .grid table { border-collapse: collapse; }
      .grid td {
        border: 1px solid var(--line); padding: 4px 5px; text-align: right;
        min-width: calc(var(--digits) * 1ch + 11px);
        font: .78rem/1.4 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
      }
      .grid .odd { background: var(--odd); }
      .grid .none { color: var(--soft); }
      .grid .hit { background: var(--hit); color: var(--hit-ink); font-weight: 700; }
      .grid .hit { background: color-mix(in srgb, var(--hit) var(--share), var(--card)); }
      .pair { display: flex; flex-wrap: wrap; gap: 20px 28px; align-items: flex-end; width: 100%; }
      .scroll { overflow-x: auto; margin: 16px 0; }
      .figures { border-collapse: collapse; width: 100%; font-size: .88rem; }
      .figures th, .figures td {
        text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line);
      }
      .figures .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
      .figures .group th { padding-top: 18px; color: var(--accent); font-weight: 600; }
      .figures .bad { color: var(--bad); font-weight: 600; }
      .bar { position: relative; min-width: 110px; width: 34%; }
      .bar i {
        position: absolute; left: 0; top: 50%; height: 1.7em; margin-top: -.85em;
        background: var(--bar); border-radius: 3px;
      }
      .bar span { position: relative; padding-left: 6px; font-variant-numeric: tabular-nums; }
      .machine { font-size: .88rem; color: var(--soft); }
      summary { cursor: pointer; color: var(--cool); font-size: .95rem; }
      footer { margin-top: 64px; font-size: .85rem; color: var(--soft); }
      @media (max-width: 640px) {
        body { font-size: 17px; }
        main { padding: 0 16px 48px; }
        article { padding: 16px; margin: 18px 0; }
        .top { padding-top: 36px; }
        section { padding-top: 36px; margin-top: 32px; }
        .input { grid-template-columns: 1fr; }
        .window header { flex-wrap: wrap; }
        .sketch { max-width: 100%; }
        .wholes { gap: 12px; }
        .closeups { gap: 8px; }
        .minis { grid-template-columns: repeat(2, 1fr); }
        .grid td { padding: 3px 3px; font-size: .68rem; }
        .grid td { min-width: calc(var(--digits) * 1ch + 7px); }
        .figures th, .figures td { padding-right: 8px; }
      }
      """;

  private Style() {}
}
