package org.featurepool.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Window;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MatrixTest {
  private static final String HEADER =
      "id,op,direction,layout,dtype,n,c,d,h,w,kernel,stride,pad,from\n";

  private static List<Cell> parse(String rows) throws IOException {
    return Matrix.parse(new BufferedReader(new StringReader(HEADER + rows)));
  }

  private static Pooling pooling(String row) throws IOException {
    return Pooling.of(parse(row).getFirst()).orElseThrow();
  }

  private static Task task(String row) throws IOException {
    return Task.of(parse(row).getFirst()).orElseThrow();
  }

  private static String refusal(String rows) {
    return assertThrows(BadUsage.class, () -> parse(rows)).getMessage();
  }

  @Test
  void readsTwoAxes() throws IOException {
    Pooling pooling = pooling("a,max,forward_mask,nhwc,f32,8,64,1,224,112,3x2,2x1,1x0,x");
    assertEquals(Pooling.Kind.MAX_WITH_MASK, pooling.kind());
    assertEquals(Shape.nhwc(8, 224, 112, 64), pooling.input());
    assertEquals(
        Window.of(3, 2).withStride(2, 1).withPadding(new long[] {1, 0}, new long[] {1, 0}),
        pooling.window());
    assertFalse(pooling.global());
  }

  @Test
  void readsThreeAxes() throws IOException {
    Pooling pooling = pooling("a,max,forward,nchw,f32,1,64,16,56,56,2x2x2,2x2x2,0x0x0,x");
    assertEquals(Shape.ncdhw(1, 64, 16, 56, 56), pooling.input());
    assertEquals(Window.of(2, 2, 2).withStride(2, 2, 2), pooling.window());
  }

  @Test
  void readsOneAxisAsARowOfAPlane() throws IOException {
    Pooling pooling = pooling("a,max,forward,nchw,u8,16,64,1,1,16000,1x4,1x4,0x0,x");
    assertEquals(Shape.nchw(16, 64, 1, 16000), pooling.input());
    assertEquals(DType.U8, pooling.dtype());
    assertEquals(Shape.nchw(16, 64, 1, 4000), pooling.output());
  }

  @Test
  void readsOneAxisAsOne() throws IOException {
    Pooling pooling = pooling("a,avg,forward,nchw,f32,2,3,1,1,10,4,2,1,x");
    assertEquals(Shape.ncw(2, 3, 10), pooling.input());
    assertEquals(Shape.ncw(2, 3, 5), pooling.output());
  }

  @Test
  void aGlobalWindowIsThePlane() throws IOException {
    Pooling pooling = pooling("a,global_avg,forward,nchw,f32,32,2048,1,7,5,,,,x");
    assertEquals(Pooling.Kind.AVERAGE, pooling.kind());
    assertTrue(pooling.global());
    assertEquals(Shape.nchw(32, 2048, 1, 1), pooling.output());
  }

  @Test
  void readsPyramids() throws IOException {
    Pyramid block =
        assertInstanceOf(
            Pyramid.class, task("a,spp_block,forward,nchw,f32,1,512,1,19,19,5;9;13,1x1,same,x"));
    assertEquals(Pyramid.Kind.BLOCK, block.kind());
    assertEquals(Shape.nchw(1, 2048, 19, 19), block.output());
    assertEquals(4 * 512 * 19 * 19L, block.readBytes());
    assertEquals(4 * 4 * 512 * 19 * 19L, block.writtenBytes());
    Pyramid bins =
        assertInstanceOf(Pyramid.class, task("a,spp,forward,nchw,f32,64,256,1,13,13,1;2;4,,,x"));
    assertEquals(Shape.nchw(64, 256 * 21, 1, 1), bins.output());
  }

  @Test
  void readsProducts() throws IOException {
    Product vlad =
        assertInstanceOf(Product.class, task("a,netvlad,backward,nchw,f32,4,512,1,30,40,K=64,,,x"));
    assertEquals(64, vlad.clusters());
    assertEquals(Shape.nchw(4, 64 * 512, 1, 1), vlad.output());
    Product bilinear =
        assertInstanceOf(Product.class, task("a,bilinear,forward,nhwc,f32,8,512,1,28,28,,,,x"));
    assertEquals(Shape.nchw(8, 512 * 512, 1, 1), bilinear.output());
    assertTrue(bilinear.readBytes() > 0 && !bilinear.backward());
  }

  @Test
  void operatorsThatThereAreNotHaveNoTask() throws IOException {
    for (String row :
        List.of(
            "a,spp_block,backward,nchw,f32,1,512,1,19,19,5;9;13,1x1,same,x",
            "a,lp,forward,nchw,f32,4,512,1,30,40,2x2,2x2,0x0,x",
            "a,avg,forward_mask,nchw,f32,4,512,1,30,40,2x2,2x2,0x0,x")) {
      assertTrue(Task.of(parse(row).getFirst()).isEmpty(), row);
    }
  }

  @Test
  void countsTheBytesOfACall() throws IOException {
    long x = 4 * 4 * 6 * 4L;
    long y = 4 * 2 * 3 * 4L;
    long mask = 4 * 2 * 3;
    Pooling forward = pooling("a,max,forward,nchw,f32,1,4,1,4,6,2x2,2x2,0x0,x");
    assertEquals(List.of(x, y), List.of(forward.readBytes(), forward.writtenBytes()));
    Pooling masked = pooling("a,max,forward_mask,nchw,f32,1,4,1,4,6,2x2,2x2,0x0,x");
    assertEquals(List.of(x, y + mask), List.of(masked.readBytes(), masked.writtenBytes()));
    Pooling backward = pooling("a,max,backward,nchw,f32,1,4,1,4,6,2x2,2x2,0x0,x");
    assertEquals(List.of(y + mask, x), List.of(backward.readBytes(), backward.writtenBytes()));
    Pooling average = pooling("a,avg,backward,nchw,f32,1,4,1,4,6,2x2,2x2,0x0,x");
    assertEquals(List.of(y, x), List.of(average.readBytes(), average.writtenBytes()));
    Pooling large = pooling("a,max,forward_mask,nchw,f32,1,1,1,20,20,16x16,16x16,0x0,x");
    assertEquals(List.of(1600L, 8L), List.of(large.readBytes(), large.writtenBytes()));
  }

  @Test
  void saysWhatIsWrong() {
    assertEquals(
        "line 2 has 9 columns; the first line has 14", refusal("a,max,forward,nchw,f32,1,2,1,3"));
    assertEquals(
        "line 2: n is 'one'; it must be a whole number, at least 1",
        refusal("a,max,forward,nchw,f32,one,2,1,3,4,2x2,2x2,0x0,x"));
    assertEquals(
        "line 2: layout is 'hwc'; it must be nchw or nhwc",
        refusal("a,max,forward,hwc,f32,1,2,1,3,4,2x2,2x2,0x0,x"));
    String row = "a,max,forward,nchw,f32,1,2,1,3,4,2x2,2x2,0x0,x\n";
    assertEquals("line 3: there is another cell a", refusal(row + row));
    assertEquals("there are no cells", refusal(""));
  }

  @Test
  void saysWhatDoesNotFit() {
    assertEquals(
        "cell a: kernel is '5;9'; it must be extents like 3x3",
        assertThrows(
                BadUsage.class, () -> pooling("a,max,forward,nchw,f32,1,2,1,3,4,5;9,2x2,0x0,x"))
            .getMessage());
    assertEquals(
        "cell a: kernel is 'K'; it must be clusters like K=64",
        assertThrows(BadUsage.class, () -> task("a,netvlad,forward,nchw,f32,1,2,1,3,4,K,,,x"))
            .getMessage());
    BadUsage large =
        assertThrows(
            BadUsage.class, () -> pooling("a,max,forward,nchw,f32,1,2,1,3,4,5x5,2x2,0x0,x"));
    assertTrue(large.getMessage().startsWith("cell a: "), large.getMessage());
  }

  @Test
  void readsTheProjectsOwn() {
    List<Cell> cells = Matrix.own();
    assertEquals(44, cells.size());
    assertEquals(44, cells.stream().filter(cell -> Task.of(cell).isPresent()).count());
  }

  @Test
  void readsTheCellsBesideTheMatrix() {
    List<Cell> cells = Matrix.targets();
    assertTrue(cells.stream().allMatch(cell -> Task.of(cell).isPresent()));
    Cell dilation =
        cells.stream()
            .filter(cell -> cell.id().equals("small_dilate_u8_k31"))
            .findFirst()
            .orElseThrow();
    assertEquals(List.of("opencv"), dilation.against());
    assertFalse(dilation.isFor(new JavaLoop()));
    assertTrue(dilation.isFor(new FeaturepoolReused()));
    List<String> ids = Stream.concat(cells.stream(), Matrix.own().stream()).map(Cell::id).toList();
    assertEquals(ids.size(), ids.stream().distinct().count());
  }

  @Test
  void withoutAColumnForThemAllPeersTakePart() throws IOException {
    Cell cell = parse("a,max,forward,nchw,f32,1,2,1,3,4,2x2,2x2,0x0,x").getFirst();
    assertTrue(cell.isFor(new JavaLoop()));
  }

  @Test
  void readsTheOtherTypes() throws IOException {
    assertEquals(DType.BF16, pooling("a,avg,forward,nchw,bf16,1,2,1,3,4,2x2,2x2,0x0,x").dtype());
    assertEquals(DType.I8, pooling("a,min,forward,nchw,i8,1,2,1,3,4,2x2,2x2,0x0,x").dtype());
    assertEquals(
        "line 2: dtype is 'f8'; it must be f32 or f16 or bf16 or u8 or i8",
        refusal("a,max,forward,nchw,f8,1,2,1,3,4,2x2,2x2,0x0,x"));
  }

  @Test
  void sweepsAreCells() {
    List<Cell> cells = Stream.concat(Sweeps.kernels().stream(), Sweeps.sizes().stream()).toList();
    assertTrue(cells.stream().allMatch(cell -> Task.of(cell).isPresent()));
    List<Long> bytes =
        Sweeps.sizes().stream().map(cell -> Task.of(cell).orElseThrow().readBytes()).toList();
    assertEquals(1L << 10, bytes.getFirst());
    assertEquals(1L << 32, bytes.getLast());
    for (int i = 1; i < bytes.size(); i++) {
      assertEquals(4 * bytes.get(i - 1), bytes.get(i));
    }
  }

  @Test
  void namesTheFileThatCannotBeRead(@TempDir Path folder) throws IOException {
    Path absent = folder.resolve("absent.csv");
    assertEquals(
        "matrix " + absent + " does not exist",
        assertThrows(BadUsage.class, () -> Matrix.read(absent)).getMessage());
    Path noMatrix = Files.writeString(folder.resolve("no.csv"), "id,op\na,max\n");
    assertEquals(
        "matrix " + noMatrix + ": there is no column direction",
        assertThrows(BadUsage.class, () -> Matrix.read(noMatrix)).getMessage());
  }
}
