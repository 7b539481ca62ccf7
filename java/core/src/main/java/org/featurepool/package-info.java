/**
 * Pooling layers of convolutional networks over off-heap tensors.
 *
 * <p>A {@link org.featurepool.Tensor} is a view of off-heap memory with a {@link
 * org.featurepool.DType} and a {@link org.featurepool.Shape}; the {@link java.lang.foreign.Arena}
 * of the caller owns the memory. A {@link org.featurepool.Window} says which elements are pooled
 * together, and the operators, such as {@link org.featurepool.MaxPool} and {@link
 * org.featurepool.AvgPool}, pool them, forward and backward. All of these are immutable and may be
 * shared between threads; the memory behind a tensor may be used by the threads that its arena
 * allows.
 *
 * <h2>Errors</h2>
 *
 * <p>A call that is refused has written to none of its outputs. The exceptions are the same for
 * every operator:
 *
 * <ul>
 *   <li>{@link java.lang.NullPointerException}: an argument is null; the message is its name;
 *   <li>{@link java.lang.IllegalArgumentException}: a parameter is out of range, shapes, types or
 *       layouts do not fit each other, or a buffer is on the heap, too small, misaligned, read-only
 *       (as an output), or overlaps another one of the call;
 *   <li>{@link java.lang.IndexOutOfBoundsException}: an entry of a mask is no position of its
 *       window or plane;
 *   <li>{@link java.lang.IllegalStateException}: the arena of a tensor is closed, or an environment
 *       variable of Featurepool holds a value that it does not have;
 *   <li>{@link java.lang.WrongThreadException}: a tensor of a confined arena is used off its
 *       thread;
 *   <li>{@link java.lang.OutOfMemoryError}: memory could not be had;
 *   <li>{@link java.lang.UnsatisfiedLinkError}: the native library cannot be used, see {@link
 *       org.featurepool.Featurepool#verifyAvailable()}.
 * </ul>
 */
package org.featurepool;
