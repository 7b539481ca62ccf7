/**
 * The binding of Featurepool's C ABI and the loader of its native library.
 *
 * <p>Every restricted call of Featurepool is in this module, so that users enable native access for
 * one name: {@code --enable-native-access=org.featurepool.bindings}. It is open to the library
 * {@code org.featurepool} only.
 */
module org.featurepool.bindings {
  requires org.tukaani.xz;

  exports org.featurepool.bindings to
      org.featurepool;
  exports org.featurepool.bindings.ffi to
      org.featurepool;
}
