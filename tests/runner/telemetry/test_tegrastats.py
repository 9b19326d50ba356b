"""Lines as tegrastats printed them on Nano, TX1, TX2, Xavier, Orin and Thor, shortened where they repeat themselves."""

import pytest

from segeval_runner.telemetry.rails import module_rails
from segeval_runner.telemetry.tegrastats import parse

NANO = (
    "RAM 613/3964MB (lfb 634x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [22%@518,67%@614,off,off] "
    "EMC_FREQ 0% GR3D_FREQ 0%@76 APE 25 PLL@39C CPU@40.5C PMIC@100C GPU@41C AO@46C thermal@41C "
    "POM_5V_IN 2532/2693 POM_5V_GPU 0/0 POM_5V_CPU 123/123"
)
TX2 = (
    "RAM 1345/7829MB (lfb 1290x4MB) SWAP 0/512MB (cached 0MB) CPU [2%@345,off,off,off,off,off] EMC_FREQ 13%@40 "
    "GR3D_FREQ 0%@114 APE 150 BCPU@35C MCPU@35C GPU@41C PLL@35C AO@35.5C Tboard@35C Tdiode@36C PMIC@100C "
    "thermal@35.5C VDD_IN 2003/2658 VDD_CPU 320/518 VDD_GPU 400/735 VDD_SOC 400/399 VDD_WIFI 0/0 VDD_DDR 192/192"
)
AGX_XAVIER = (
    "RAM 10881/31919MB (lfb 4230x4MB) SWAP 0/15959MB (cached 0MB) CPU [17%@1190,23%@1543,15%@1574,off] "
    "EMC_FREQ 55%@2133 GR3D_FREQ 95%@1377 APE 150 MTS fg 0% bg 10% AO@48C GPU@54.5C Tdiode@53.25C PMIC@100C AUX@46C "
    "CPU@49C thermal@49.45C Tboard@47C GPU 18401/18525 CPU 2301/2330 SOC 4602/4602 CV 0/0 VDDRQ 2914/2911 "
    "SYS5V 4632/4620"
)
XAVIER_NX = (
    "07-09-2024 13:31:31 RAM 3168/6851MB (lfb 2x4MB) SWAP 161/3426MB (cached 0MB) CPU [23%@1397,17%@1192] "
    "EMC_FREQ 2%@204 GR3D_FREQ 0%@[114] VIC_FREQ 115 APE 150 AUX@45C CPU@46.5C thermal@45.6C AO@45C GPU@45.5C PMIC@50C "
    "VDD_IN 2763mW/2846mW VDD_CPU_GPU_CV 650mW/670mW VDD_SOC 650mW/711mW"
)
ORIN_NANO = (
    "10-08-2026 04:35:02 RAM 6712/7620MB (lfb 12x4MB) SWAP 369/3810MB (cached 8MB) CPU [38%@1497,2%@729,1%@729] "
    "EMC_FREQ 61%@2133 GR3D_FREQ 99%@[612] NVDEC off NVJPG off VIC off OFA off APE 200 cpu@57.125C soc2@55.093C "
    "gpu@58.625C tj@58.312C VDD_IN 16321mW/11204mW VDD_CPU_GPU_CV 7104mW/4944mW VDD_SOC 3120mW/3659mW"
)
AGX_ORIN = (
    "04-11-2025 10:36:27 RAM 4321/62801MB (lfb 1759x4MB) SWAP 19/31400MB (cached 0MB) CPU [0%@729,0%@729,0%@1036] "
    "EMC_FREQ 0%@2133 GR3D_FREQ 0%@[0,0] VIC_FREQ 729 APE 174 CV0@-256C CPU@44.562C Tboard@32C SOC2@40.093C GPU@-256C "
    "tj@44.343C CV2@-256C VDD_GPU_SOC 2340mW/2340mW VDD_CPU_CV 390mW/390mW VIN_SYS_5V0 4025mW/4025mW NC 0mW/0mW "
    "VDDQ_VDD2_1V8AO 301mW/301mW NC 0mW/0mW"
)
THOR = (
    "05-17-2026 10:00:32 RAM 4208/125773MB (lfb 31x4MB) SWAP 0/2048MB (cached 0MB) CPU [1%@972,0%@2601] "
    "EMC_FREQ 0%@665 GR3D_FREQ @[0,0,0] NVENC0_FREQ @0 VIC off OFA_FREQ @0 PVA0_FREQ off APE 300 cpu@34.468C tj@34.5C "
    "soc012@33.781C VDD_GPU 0mW/0mW VDD_CPU_SOC_MSS 4165mW/4165mW VIN_SYS_5V0 4126mW/4126mW VIN 26686mW/26686mW"
)
JETPACK_7_2 = (
    "07-23-2026 15:29:27 RAM 9091/125811MB (lfb 19x4MB) SWAP 0/2048MB (cached 0MB) CPU [40%@972,16%@972] "
    "EMC_FREQ 7%@3200 GR3D_FREQ @[314,314,314] NVENC0_FREQ @1556 VIC 59%@423 OFA_FREQ @1556 PVA0_FREQ off APE 300 "
    "cpu@34.312C/34.843C tj@35.906C/35.906C gpu@35.906C/35.906C VDD_GPU 4925mW/4925mW/4925mW "
    "VDD_CPU_SOC_MSS 7953mW/8332mW/8710mW VIN_SYS_5V0 6667mW/6717mW/6767mW"
)


def test_nano() -> None:
    read = parse(NANO)
    assert read.rails_mw == {"POM_5V_IN": 2532, "POM_5V_GPU": 0, "POM_5V_CPU": 123}, "the power now, not the average"
    assert read.temperatures_c == {"PLL": 39, "CPU": 40.5, "GPU": 41, "AO": 46, "thermal": 41}, "PMIC is a constant"
    assert read.clocks_mhz == {"cpu": 614, "gpu": 76}, "cores that are off have no clock, the memory tells none"
    assert read.memory_mb == 613


def test_tx2() -> None:
    read = parse(TX2)
    assert read.rails_mw["VDD_IN"] == 2003
    assert len(read.rails_mw) == 6
    assert module_rails(read.rails_mw) == ("VDD_IN",)
    assert read.clocks_mhz == {"cpu": 345, "gpu": 114, "emc": 40}


def test_agx_xavier_has_rails_and_zones_of_the_same_names() -> None:
    read = parse(AGX_XAVIER)
    assert read.rails_mw == {"GPU": 18401, "CPU": 2301, "SOC": 4602, "CV": 0, "VDDRQ": 2914, "SYS5V": 4632}
    assert read.temperatures_c["GPU"] == 54.5
    assert "MTS fg" not in read.temperatures_c
    assert len(module_rails(read.rails_mw)) == 6


def test_xavier_nx() -> None:
    read = parse(XAVIER_NX)
    assert read.rails_mw == {"VDD_IN": 2763, "VDD_CPU_GPU_CV": 650, "VDD_SOC": 650}
    assert read.clocks_mhz == {"cpu": 1397, "gpu": 114, "emc": 204}
    assert set(read.temperatures_c) == {"AUX", "CPU", "thermal", "AO", "GPU"}


def test_orin_nano() -> None:
    read = parse(ORIN_NANO)
    assert read.rails_mw["VDD_IN"] == 16321
    assert read.clocks_mhz == {"cpu": 1497, "gpu": 612, "emc": 2133}
    assert read.temperatures_c["tj"] == 58.312
    assert read.memory_mb == 6712


def test_agx_orin_leaves_out_what_is_not_there() -> None:
    read = parse(AGX_ORIN)
    assert read.temperatures_c == {"CPU": 44.562, "Tboard": 32, "SOC2": 40.093, "tj": 44.343}
    assert set(read.rails_mw) == {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"}
    assert read.clocks_mhz == {"cpu": 1036, "gpu": 0, "emc": 2133}
    assert module_rails(read.rails_mw) == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")


def test_thor_tells_no_load_of_the_gpu() -> None:
    read = parse(THOR)
    assert read.rails_mw == {"VDD_GPU": 0, "VDD_CPU_SOC_MSS": 4165, "VIN_SYS_5V0": 4126, "VIN": 26686}
    assert read.clocks_mhz == {"cpu": 2601, "gpu": 0, "emc": 665}
    assert module_rails(read.rails_mw) == ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0")


def test_of_three_values_the_first_is_now() -> None:
    read = parse(JETPACK_7_2)
    assert read.rails_mw == {"VDD_GPU": 4925, "VDD_CPU_SOC_MSS": 7953, "VIN_SYS_5V0": 6667}
    assert read.temperatures_c == {"cpu": 34.312, "tj": 35.906, "gpu": 35.906}
    assert read.clocks_mhz["gpu"] == 314


def test_one_value_negative_values_and_names_with_spaces() -> None:
    read = parse("APE 174 VIC off CPU therm@41C VDD GPU -392mW/-80mW VIN 28548mW OFA off VDD_SOC 12mW/13mW")
    assert read.rails_mw == {"VDD GPU": -392, "VIN": 28548, "VDD_SOC": 12}
    assert read.temperatures_c == {"CPU therm": 41}


@pytest.mark.parametrize("line", ["", "garbage", "RAM", "CPU [", "tegrastats: permission denied", "VDD_IN /mW", "@C"])
def test_what_is_no_line_of_tegrastats_gives_nothing(line: str) -> None:
    read = parse(line)
    assert (read.rails_mw, read.temperatures_c, read.clocks_mhz, read.memory_mb) == ({}, {}, {}, None)


def test_the_older_form_with_one_clock_for_all_cores() -> None:
    read = parse("RAM 3468/3983MB (lfb 48x4MB) cpu [17%,13%,29%,5%]@408 EMC 1%@408 APE 25 GR3D 3%@76")
    assert read.clocks_mhz == {"cpu": 408, "gpu": 76, "emc": 408}
    assert read.rails_mw == {}
