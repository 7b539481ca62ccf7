package org.featurepool.cli.gallery;

import java.io.IOException;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.featurepool.Images;
import org.featurepool.cli.UsageException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Pools a picture with every operator and writes a gallery of what happened. */
@Command(
    name = "demo",
    description =
        "Pool a picture with every operator, forward and backward, check the results and write an "
            + "HTML gallery that explains them.")
public final class DemoCommand implements Callable<Integer> {
  private static final String PAGE = "index.html";
  private static final int CHECK_FAILED = 1;

  @Spec private CommandSpec spec;

  @Option(
      names = "--image",
      paramLabel = "FILE",
      description = "The picture; without it, a sample that is computed.")
  private Path image;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "featurepool-gallery",
      description = "Folder for the gallery (default: ${DEFAULT-VALUE}).")
  private Path out;

  /** Made by the command line. */
  public DemoCommand() {}

  /**
   * Makes the gallery.
   *
   * @return 0, or 1 if a result differs from the reference
   * @throws UsageException if the picture cannot be read or the folder cannot be written
   */
  @Override
  public Integer call() {
    checkFolder();
    // Shared, because the checks read the picture with several threads.
    try (Arena arena = Arena.ofShared()) {
      Gallery gallery = Gallery.of(picture(arena));
      Path page = write(gallery.html());
      return report(page, gallery);
    }
  }

  private Picture picture(Arena arena) {
    if (image == null) {
      return Picture.sample(arena);
    }
    try (Arena decoding = Arena.ofConfined()) {
      String name = image.getFileName() == null ? image.toString() : image.getFileName().toString();
      return Picture.decoded(name, Images.read(image, decoding), arena);
    } catch (NoSuchFileException e) {
      throw new UsageException("--image " + image + " does not exist; name a picture", e);
    } catch (AccessDeniedException e) {
      throw new UsageException("--image " + image + " may not be read", e);
    } catch (IOException e) {
      String reason = String.valueOf(e.getMessage());
      boolean named = reason.contains(image.toString());
      throw new UsageException("--image " + (named ? "" : image + ": ") + reason, e);
    }
  }

  /** Finds an unusable folder before the work and not after it. */
  private void checkFolder() {
    Path existing = out.toAbsolutePath().normalize();
    while (existing != null && !Files.exists(existing)) {
      existing = existing.getParent();
    }
    if (existing == null || !Files.isDirectory(existing)) {
      throw new UsageException(
          "--out " + out + ": " + existing + " is no folder; name a folder, or one to be created");
    }
    if (!Files.isWritable(existing)) {
      throw new UsageException("--out " + out + ": folder " + existing + " is not writable");
    }
    if (Files.isDirectory(out.resolve(PAGE))) {
      throw new UsageException("--out " + out + ": " + PAGE + " in it is a folder");
    }
  }

  /** Writes the page beside its place and moves it there, so that there is never half a page. */
  private Path write(String html) {
    Path page = out.resolve(PAGE);
    try {
      Files.createDirectories(out);
      Path temporary = out.resolve("." + PAGE + "." + UUID.randomUUID());
      try {
        Files.writeString(temporary, html);
        Files.move(temporary, page, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(temporary);
      }
    } catch (IOException e) {
      throw new UsageException(
          "--out " + out + " cannot be written (" + e + "); name another folder", e);
    }
    return page;
  }

  /** Tells where the page is and how the checks went; the exit status. */
  int report(Path page, Gallery gallery) {
    PrintWriter terminal = spec.commandLine().getOut();
    terminal.println(page);
    terminal.println(Gallery.summary(gallery.checks()));
    boolean good = true;
    for (Check check : gallery.checks()) {
      if (!check.passed()) {
        terminal.println("FAILED " + check.subject() + ": " + check.detail());
        good = false;
      }
    }
    terminal.flush();
    return good ? 0 : CHECK_FAILED;
  }
}
