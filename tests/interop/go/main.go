// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// Walks a simulated node with NVIDIA's Go bindings and the library its Kubernetes tools share, and
// prints what it finds, one line per device.
package main

import (
	"fmt"
	"os"

	"github.com/NVIDIA/go-nvlib/pkg/nvlib/device"
	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

func must(ret nvml.Return, call string) {
	if ret != nvml.SUCCESS {
		fmt.Fprintf(os.Stderr, "%s: %s\n", call, nvml.ErrorString(ret))
		os.Exit(1)
	}
}

func mustDo(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func printMig(mig device.MigDevice) error {
	uuid, ret := mig.GetUUID()
	must(ret, "GetUUID")
	profile, err := mig.GetProfile()
	if err != nil {
		return err
	}
	attributes, ret := mig.GetAttributes()
	must(ret, "GetAttributes")
	fmt.Printf("  mig %s %s sm=%d memory=%d\n", profile, uuid[:4],
		attributes.MultiprocessorCount, attributes.MemorySizeMB)
	return nil
}

func printGPU(index int, gpu device.Device) error {
	name, ret := gpu.GetName()
	must(ret, "GetName")
	architecture, err := gpu.GetArchitectureAsString()
	if err != nil {
		return err
	}
	capability, err := gpu.GetCudaComputeCapabilityAsString()
	if err != nil {
		return err
	}
	capable, err := gpu.IsMigCapable()
	if err != nil {
		return err
	}
	fmt.Printf("gpu %d %s %s %s mig=%v", index, name, architecture, capability, capable)
	profiles, err := gpu.GetMigProfiles()
	if err != nil {
		return err
	}
	fmt.Printf(" profiles=%d\n", len(profiles))
	migs, err := gpu.GetMigDevices()
	if err != nil {
		return err
	}
	for _, mig := range migs {
		if err := printMig(mig); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	library := nvml.New()
	must(library.Init(), "Init")
	defer library.Shutdown()
	devices := device.New(library)
	index := 0
	mustDo(devices.VisitDevices(func(_ int, gpu device.Device) error {
		err := printGPU(index, gpu)
		index++
		return err
	}))
	set, ret := library.EventSetCreate()
	must(ret, "EventSetCreate")
	first, ret := library.DeviceGetHandleByIndex(0)
	must(ret, "DeviceGetHandleByIndex")
	must(first.RegisterEvents(nvml.EventTypeXidCriticalError, set), "RegisterEvents")
	if _, ret := set.Wait(1); ret != nvml.ERROR_TIMEOUT {
		must(ret, "expected a time-out from Wait, got")
		os.Exit(1)
	}
	must(set.Free(), "EventSetFree")
}
