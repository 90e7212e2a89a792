// The GPU as a place: facts, memory, streams, events, graphs. No CUDA types, so anybody may include it.
//
// Everything throws std::runtime_error with CUDA's own words when a call fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "validate/kernels/element.h"

namespace headroom {

struct DeviceFacts {
  std::string name;
  std::int32_t compute_capability = 0;  // 86 for sm_86
  std::int32_t num_sms = 0;
  std::int64_t memory_bytes = 0;  // addressable, as cudaMemGetInfo reports it
  std::int64_t l2_bytes = 0;
  std::string driver;   // CUDA version the driver supports
  std::string runtime;  // CUDA version this program was built with
  double max_clock_mhz = 0, max_memory_clock_mhz = 0;
};
std::int32_t num_devices();  // 0 when there is no driver either
DeviceFacts device_facts();  // of the current one

// Makes a GPU this thread's current one, where memory, streams and events are made and kernels start; until it ends.
class CurrentDevice {
 public:
  explicit CurrentDevice(std::int32_t number);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;

 private:
  int before_ = 0;
};

struct DeviceMemory {
  std::int64_t free = 0, total = 0;  // bytes, as the driver says
};
DeviceMemory device_memory();

class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::int64_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  std::byte* at(std::int64_t offset) const { return static_cast<std::byte*>(data_) + offset; }
  std::int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

// Host memory that the copy engine reaches on its own.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(std::int64_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  void* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

void wait_for(Stream stream);  // until all that was put on it is done

class OwnedStream {
 public:
  OwnedStream();
  ~OwnedStream();
  OwnedStream(const OwnedStream&) = delete;
  operator Stream() const { return stream_; }
  void synchronize() const { wait_for(stream_); }

 private:
  Stream stream_ = nullptr;
};

// Time between two points of a stream.
class StreamTimer {
 public:
  StreamTimer();
  ~StreamTimer();
  StreamTimer(const StreamTimer&) = delete;
  void start(Stream stream);
  void stop(Stream stream);
  double seconds() const;  // waits for the end

 private:
  struct Events;
  std::unique_ptr<Events> events_;
};

// What `work` puts on the stream, recorded once and replayed with one launch.
class Graph {
 public:
  Graph(Stream stream, const std::function<void(Stream)>& work);
  // What belongs together on several streams, also of several GPUs: a graph for each.
  static std::vector<Graph> of_streams(std::span<const Stream> streams, const std::function<void()>& work);
  ~Graph();
  Graph(Graph&& other) noexcept;
  void launch(Stream stream) const;

 private:
  explicit Graph(void* graph) : graph_(graph) {}
  void* graph_ = nullptr;
};

void copy_to_device(void* to, const void* from, std::int64_t bytes, Stream stream);
void copy_to_host(void* to, const void* from, std::int64_t bytes, Stream stream);
void copy_on_device(void* to, const void* from, std::int64_t bytes, Stream stream);
void set_zero(void* to, std::int64_t bytes, Stream stream);

template <class T>
DeviceBuffer on_device(std::span<const T> values, Stream stream) {
  DeviceBuffer buffer(static_cast<std::int64_t>(values.size_bytes()));
  copy_to_device(buffer.data(), values.data(), buffer.bytes(), stream);
  return buffer;
}

}  // namespace headroom
