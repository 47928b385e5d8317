// on_device.h -- arrays of a test on the device.
#ifndef TEST_ON_DEVICE_H
#define TEST_ON_DEVICE_H

#include "../llmc/device.h"
#include "../llmc/real.h"

#include <vector>

// What a test program is compiled for.
#define TEST_PRECISION (sizeof(Real) == 2 ? "bf16" : "fp32")

// A copy on the device, exactly as large. An output begins unwritten: under the emulator, as a NaN that traps.
template <class T> struct OnDevice {
    T* data;
    size_t count;

    explicit OnDevice(size_t n) : data((T*)device_alloc(sizeof(T) * n, "a test")), count(n) {}
    explicit OnDevice(const std::vector<T>& x) : OnDevice(x.size()) { device_write(data, x.data(), sizeof(T) * count); }
    ~OnDevice() { device_free(data); }
    operator T*() const { return data; }
    std::vector<T> read() const {
        std::vector<T> x(count);
        device_read(x.data(), data, sizeof(T) * count);
        return x;
    }
};

#endif // TEST_ON_DEVICE_H
