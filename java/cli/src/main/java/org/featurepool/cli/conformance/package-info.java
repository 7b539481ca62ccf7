/**
 * Runs ONNX node tests through the library: a folder with {@code model.onnx} and {@code
 * test_data_set_*}, as the ONNX project publishes them.
 */
package org.featurepool.cli.conformance;
