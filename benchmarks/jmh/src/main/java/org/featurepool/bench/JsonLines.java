package org.featurepool.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.Closeable;
import java.io.IOException;
import java.io.Writer;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.List;

/** Measurements as one JSON object per line. */
final class JsonLines implements Closeable {
  // More than a timer can tell.
  private static final MathContext DIGITS = new MathContext(6);

  private final JsonGenerator json;

  /** Writes to {@code out}, which is closed with this. */
  JsonLines(Writer out) throws IOException {
    json = new JsonFactory().createGenerator(out);
    json.setRootValueSeparator(null);
  }

  /** Writes one line, and sees to it that it is out. */
  void write(Measurement measurement) throws IOException {
    json.writeStartObject();
    json.writeStringField("cell", measurement.cell());
    json.writeStringField("contender", measurement.contender());
    json.writeNumberField("threads", measurement.threads());
    number("us", measurement.microseconds());
    number("gbps", measurement.gigabytesPerSecond());
    if (measurement.hasLimit()) {
      number("limit_us", measurement.limitMicroseconds());
    }
    if (measurement.speedupOverBestPeer().isPresent()) {
      number("speedup_vs_best_peer", measurement.speedupOverBestPeer().getAsDouble());
    }
    json.writeEndObject();
    json.writeRaw('\n');
    json.flush();
  }

  /** Writes a line for each. */
  void write(List<Measurement> measurements) throws IOException {
    for (Measurement measurement : measurements) {
      write(measurement);
    }
  }

  private void number(String name, double value) throws IOException {
    json.writeNumberField(name, new BigDecimal(value).round(DIGITS).doubleValue());
  }

  @Override
  public void close() throws IOException {
    json.close();
  }
}
