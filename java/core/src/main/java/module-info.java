/**
 * Pooling layers of convolutional networks, forward and backward, over off-heap tensors.
 *
 * <p>Programs that use this module run with {@code --enable-native-access=org.featurepool.bindings}
 * (or {@code ALL-UNNAMED} on the class path).
 */
module org.featurepool {
  requires java.desktop;
  requires org.featurepool.bindings;

  exports org.featurepool;
}
