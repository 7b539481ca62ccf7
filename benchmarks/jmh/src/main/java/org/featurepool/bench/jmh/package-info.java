/** JMH benchmarks of the Java calls; {@code featurepool bench --jmh} runs them. */
package org.featurepool.bench.jmh;
