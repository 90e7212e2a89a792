#include "validate/kernels/device.h"

#include <utility>

#include "validate/kernels/check.h"

namespace headroom {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

double attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, name, device));
  return value;
}

}  // namespace

std::int32_t num_devices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

CurrentDevice::CurrentDevice(std::int32_t number) {
  check(cudaGetDevice(&before_));
  check(cudaSetDevice(number));
}
CurrentDevice::~CurrentDevice() {
  cudaSetDevice(before_);
}

DeviceFacts device_facts() {
  int device = 0, driver = 0, runtime = 0;
  check(cudaGetDevice(&device));
  check(cudaDriverGetVersion(&driver));
  check(cudaRuntimeGetVersion(&runtime));
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device));
  DeviceFacts facts;
  facts.name = properties.name;
  facts.compute_capability = properties.major * 10 + properties.minor;
  facts.num_sms = properties.multiProcessorCount;
  facts.l2_bytes = properties.l2CacheSize;
  facts.memory_bytes = device_memory().total;
  facts.driver = version_text(driver);
  facts.runtime = version_text(runtime);
  facts.max_clock_mhz = attribute(cudaDevAttrClockRate, device) / 1e3;
  facts.max_memory_clock_mhz = attribute(cudaDevAttrMemoryClockRate, device) / 1e3;
  return facts;
}

DeviceMemory device_memory() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total));
  return {static_cast<std::int64_t>(free), static_cast<std::int64_t>(total)};
}

DeviceBuffer::DeviceBuffer(std::int64_t bytes) : bytes_(bytes) {
  if (bytes > 0) check(cudaMalloc(&data_, static_cast<std::size_t>(bytes)));
}
DeviceBuffer::~DeviceBuffer() {
  cudaFree(data_);
}
DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedBuffer::PinnedBuffer(std::int64_t bytes) : bytes_(bytes) {
  check(cudaMallocHost(&data_, static_cast<std::size_t>(bytes)));
}
PinnedBuffer::~PinnedBuffer() {
  cudaFreeHost(data_);
}

OwnedStream::OwnedStream() {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}
OwnedStream::~OwnedStream() {
  cudaStreamDestroy(stream_);
}
void wait_for(Stream stream) {
  check(cudaStreamSynchronize(stream));
}

struct StreamTimer::Events {
  cudaEvent_t begin = nullptr, end = nullptr;
};
StreamTimer::StreamTimer() : events_(std::make_unique<Events>()) {
  check(cudaEventCreate(&events_->begin));
  check(cudaEventCreate(&events_->end));
}
StreamTimer::~StreamTimer() {
  cudaEventDestroy(events_->begin);
  cudaEventDestroy(events_->end);
}
void StreamTimer::start(Stream stream) {
  check(cudaEventRecord(events_->begin, stream));
}
void StreamTimer::stop(Stream stream) {
  check(cudaEventRecord(events_->end, stream));
}
double StreamTimer::seconds() const {
  check(cudaEventSynchronize(events_->end));
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, events_->begin, events_->end));
  return static_cast<double>(milliseconds) * 1e-3;
}

Graph::Graph(Stream stream, const std::function<void(Stream)>& work)
    : Graph(std::move(of_streams({&stream, 1}, [&] { work(stream); }).front())) {}
std::vector<Graph> Graph::of_streams(std::span<const Stream> streams, const std::function<void()>& work) {
  std::vector<cudaGraph_t> recorded;
  const auto end_all = [&] {  // of those that have begun
    cudaError_t first = cudaSuccess;
    for (std::size_t i = 0; i < recorded.size(); ++i) {
      const cudaError_t code = cudaStreamEndCapture(streams[i], &recorded[i]);
      if (first == cudaSuccess) first = code;
    }
    return first;
  };
  const auto destroy_all = [&] {
    for (const cudaGraph_t graph : recorded)
      if (graph != nullptr) cudaGraphDestroy(graph);
  };
  std::vector<Graph> graphs;
  bool open = true;
  try {
    for (const Stream stream : streams) {
      check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
      recorded.push_back(nullptr);
    }
    work();
    open = false;
    check(end_all());
    for (const cudaGraph_t graph : recorded) {
      cudaGraphExec_t executable = nullptr;
      check(cudaGraphInstantiateWithFlags(&executable, graph, 0));
      graphs.push_back(Graph(executable));
    }
  } catch (...) {
    if (open) end_all();
    destroy_all();
    throw;
  }
  destroy_all();
  return graphs;
}
Graph::~Graph() {
  if (graph_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph_));
}
Graph::Graph(Graph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
void Graph::launch(Stream stream) const {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph_), stream));
}

void copy_to_device(void* to, const void* from, std::int64_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice, stream));
}
void copy_to_host(void* to, const void* from, std::int64_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToHost, stream));
}
void copy_on_device(void* to, const void* from, std::int64_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, stream));
}
void set_zero(void* to, std::int64_t bytes, Stream stream) {
  check(cudaMemsetAsync(to, 0, static_cast<std::size_t>(bytes), stream));
}

}  // namespace headroom
