package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.Featurepool;
import org.featurepool.cli.Progress;

/**
 * The page: a picture pooled with every operator, explained, checked and timed.
 *
 * @param html the whole document
 * @param checks every comparison that was made while it was built
 */
record Gallery(String html, List<Check> checks) {
  private static final int LIMIT = 768;
  private static final int FRAME = 0xFF5A36;

  /** Pools the picture and writes the page about it. */
  static Gallery of(Picture picture) {
    List<Check> checks = new ArrayList<>();
    List<TimingSection.Row> times = new ArrayList<>();
    List<WindowCase> all = WindowCase.all(picture.height(), picture.width());
    List<WindowCase> windows =
        all.stream().filter(w -> w.fits(picture.height(), picture.width())).toList();
    // The first three windows: without overlap, with overlap, large. The latter two fit any
    // picture.
    List<WindowCase> telling = all.subList(0, 3).stream().filter(windows::contains).toList();
    List<Html> articles = new ArrayList<>();
    List<Html> sections = new ArrayList<>();
    try (Progress progress = Progress.of("gallery", windows.size() + 3 + Family.count())) {
      WindowSection section = new WindowSection(picture, checks, times);
      for (WindowCase window : windows) {
        articles.add(section.article(window));
        progress.step();
      }
      sections.add(windows(articles, all.size()));
      sections.add(MaximaSection.section(picture, telling));
      progress.step();
      sections.add(GradientSection.section(picture, telling.getFirst(), telling.getLast(), checks));
      progress.step();
      sections.add(WorkedExamples.section(checks));
      sections.add(ShiftSection.section(picture, checks));
      progress.step();
      sections.addAll(families(picture, checks, progress));
    }
    sections.add(TimingSection.section(picture, times, machine()));
    sections.add(checks(checks));
    return new Gallery(page(picture, checks, sections).markup(), List.copyOf(checks));
  }

  private static List<Html> families(Picture picture, List<Check> checks, Progress progress) {
    List<Html> sections = new ArrayList<>();
    try (Arena scenery = Arena.ofConfined()) {
      Scene scene = Scene.of(picture, scenery);
      for (Family family : Family.values()) {
        List<Html> articles = new ArrayList<>();
        if (scene.substituted()) {
          articles.add(
              new Html(
                  "<p>Your picture is too small or too plain to show this, so the sample takes its "
                      + "place.</p>"));
        }
        for (Exhibit exhibit : family.exhibits()) {
          try (Arena arena = Arena.ofConfined()) {
            Stage stage = new Stage(exhibit.title(), scene, arena);
            articles.add(exhibit.article(stage));
            checks.addAll(stage.checks());
          }
          progress.step();
        }
        sections.add(family.section(articles));
      }
    }
    return sections;
  }

  private static Html windows(List<Html> articles, int all) {
    Html left =
        articles.size() == all
            ? Html.EMPTY
            : Html.fill(
                "<p>${n} of ${all} windows are larger than this picture and are left out.</p>",
                "n",
                all - articles.size(),
                "all",
                all);
    return Html.fill(
        """
        <section id="windows"><h2>Windows and what they do</h2>
        <p>A window is described by its kernel (how many taps it has along each axis), its stride \
        (how far it moves from one output to the next), its padding (how far it may reach over \
        the edge) and its dilation (how far apart its taps are). In the sketches the filled cells \
        are the taps of the first window and the framed ones those of its right neighbour; dashed \
        cells are padding.</p>
        ${left}${articles}</section>
        """,
        "left",
        left,
        "articles",
        articles);
  }

  private static Html checks(List<Check> checks) {
    List<Html> rows = new ArrayList<>();
    for (Check check : checks) {
      rows.add(
          Html.fill(
              """
              <tr class="${state}"><td>${subject}</td><td>${word}</td><td>${detail}</td></tr>
              """,
              "state",
              check.passed() ? "good" : "bad",
              "subject",
              check.subject(),
              "word",
              check.passed() ? "passed" : "FAILED",
              "detail",
              check.detail()));
    }
    return Html.fill(
        """
        <section id="checks"><h2>Checks</h2>
        <p>${summary} Maxima, their positions and their gradients must agree bit for bit with a \
        second, plain computation in Java that shares nothing with the library; averages must lie \
        within 2 ulp·√taps of its result in double precision. All values of the picture are \
        compared, not a sample of them. The operators' exhibits are compared with their \
        definitions, computed in double precision: what selects must be equal, what computes \
        must agree to five digits of the largest value.</p>
        <details><summary>All ${count} checks</summary><div class="scroll"><table class="figures">\
        <tbody>${rows}</tbody></table></div></details></section>
        """,
        "summary",
        summary(checks) + ".",
        "count",
        checks.size(),
        "rows",
        rows);
  }

  /** "63 of 63 checks passed". */
  static String summary(List<Check> checks) {
    long passed = checks.stream().filter(Check::passed).count();
    return Html.format("%d of %d checks passed", passed, checks.size());
  }

  private static Html page(Picture picture, List<Check> checks, List<Html> sections) {
    boolean good = checks.stream().allMatch(Check::passed);
    return Html.fill(
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>What pooling does to a picture</title>
        <style>
        ${style}</style></head>
        <body><main>
        <header class="top"><p class="kicker">Featurepool gallery</p>
        <h1>What pooling does to a picture</h1>
        <p class="lead">Pooling slides a window over every channel of a feature map and replaces \
        what the window covers by one number. The map becomes smaller and calmer, and what \
        matters in it survives: the strongest response with max pooling, the overall level with \
        average pooling. First these two and their windows are shown on a whole picture; then \
        every operator of the library in turn, with numbers small enough to check by hand.</p>
        <p class="badges"><span class="badge ${state}">${summary}</span>\
        <span class="badge">${machine}</span></p>
        <nav><dl class="contents"><dt>First principles</dt><dd><a href="#windows">Windows</a> \
        <a href="#maxima">Maxima</a> <a href="#gradients">Gradients</a> \
        <a href="#examples">Worked examples</a> <a href="#shift">Shift</a></dd>
        ${families}<dt>Figures</dt><dd><a href="#times">Time</a> <a href="#checks">Checks</a></dd>\
        </dl></nav>
        </header>
        <section id="input"><h2>The input</h2>${input}</section>
        ${sections}
        <footer>Made by Featurepool ${version}. This page is one file and needs no network.</footer>
        </main></body></html>
        """,
        "style",
        new Html(Style.CSS),
        "state",
        good ? "good" : "bad",
        "summary",
        summary(checks),
        "machine",
        machine(),
        "families",
        Family.contents(),
        "input",
        input(picture),
        "sections",
        sections,
        "version",
        Featurepool.version());
  }

  private static Html input(Picture picture) {
    Raster raster = Picture.whole(picture.tensor(), LIMIT);
    double scale = raster.width() / (double) picture.width();
    Field.Crop crop = picture.detail();
    int x = (int) Math.round(crop.x() * scale);
    int y = (int) Math.round(crop.y() * scale);
    int w = Math.max(3, (int) Math.round(crop.width() * scale));
    int h = Math.max(3, (int) Math.round(crop.height() * scale));
    raster.frame(x - 1, y - 1, w + 2, h + 2, FRAME);
    raster.frame(x - 2, y - 2, w + 4, h + 4, FRAME);
    String shown =
        raster.width() < picture.width()
            ? Html.format(
                " It is pooled at full size and shown at %d × %d.", raster.width(), raster.height())
            : "";
    return Html.fill(
        """
        <div class="input">${figure}<div><h3>${name}</h3><p>${size}. ${note}${shown}</p>
        <p>The frame marks the ${w} × ${h} pixels that the close-ups below enlarge: the part of \
        this picture with the most detail.</p>${closeUp}</div></div>
        """,
        "figure",
        Html.figure(raster, raster.width() < 200, "The input: " + picture.name(), Html.EMPTY),
        "name",
        picture.name(),
        "size",
        picture.size(),
        "note",
        picture.note(),
        "shown",
        shown,
        "w",
        crop.width(),
        "h",
        crop.height(),
        "closeUp",
        Html.figure(
            Picture.part(picture.tensor(), crop), true, "Close-up of the input", Html.EMPTY));
  }

  /** What computed the page. */
  private static String machine() {
    int threads = Featurepool.threads();
    return Html.format(
        "Featurepool %s, %s, %d %s, %s %s, Java %s",
        Featurepool.version(),
        Featurepool.activeIsa(),
        threads,
        threads == 1 ? "thread" : "threads",
        System.getProperty("os.name"),
        System.getProperty("os.arch"),
        Runtime.version().feature());
  }
}
