#include "qcc/Target/Ptxas.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"

using namespace qcc;
using llvm::StringRef;

static constexpr llvm::StringLiteral toolkitFolder = "/usr/local/cuda/bin";

/// The first CUDA release, 10 * major + minor, whose assembler takes a version of PTX (PTX ISA, "Release Notes").
static unsigned releaseFor(unsigned ptx) {
  static constexpr std::pair<unsigned, unsigned> first[] = {{65, 102}, {70, 110}, {71, 111}, {80, 120}, {84, 124},
                                                            {85, 125}, {86, 127}, {87, 128}, {88, 129}, {90, 130}};
  for (auto [version, release] : first)
    if (ptx <= version)
      return release;
  return UINT_MAX;
}

static llvm::Error failed(StringRef ptxas, const llvm::Twine &why) {
  return llvm::createStringError("the assembler '" + ptxas + "' " + why);
}

/// Runs it; gives what it says to both streams.
static llvm::Expected<std::string> run(StringRef ptxas, llvm::ArrayRef<StringRef> arguments) {
  llvm::SmallString<128> log;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("ptxas", "log", log))
    return failed(ptxas, "cannot be run: " + error.message());
  llvm::FileRemover remover(log);
  llvm::SmallVector<StringRef> all = {ptxas};
  llvm::append_range(all, arguments);
  std::string problem;
  std::optional<StringRef> redirects[] = {StringRef(), log.str(), log.str()};
  int status = llvm::sys::ExecuteAndWait(ptxas, all, std::nullopt, redirects, 0, 0, &problem);
  auto said = llvm::MemoryBuffer::getFile(log);
  std::string text = said ? (*said)->getBuffer().trim().str() : "";
  if (status)
    return failed(ptxas, "failed: " + (problem.empty() ? text : problem));
  return text;
}

llvm::Expected<std::string> qcc::findPtxas(StringRef option) {
  if (option == "none")
    return "";
  auto found = option == "auto" ? llvm::sys::findProgramByName("ptxas") : llvm::sys::findProgramByName(option);
  if (!found && option == "auto")
    found = llvm::sys::findProgramByName("ptxas", {toolkitFolder});
  if (option != "auto" && (!found || !llvm::sys::fs::can_execute(*found)))
    return failed(option, "was not found; --ptxas=none does without");
  return found ? *found : std::string();
}

llvm::Expected<std::string> qcc::lacksPtx(StringRef ptxas, const DeviceFacts &facts) {
  auto said = run(ptxas, {"--version"});
  if (!said)
    return said.takeError();
  llvm::SmallVector<StringRef> parts;
  unsigned major = 0, minor = 0;
  if (!llvm::Regex("release ([0-9]+)\\.([0-9]+)").match(*said, &parts) || parts[1].getAsInteger(10, major) ||
      parts[2].getAsInteger(10, minor))
    return failed(ptxas, "says no version: " + *said);
  unsigned needed = releaseFor(facts.ptx);
  if (10 * major + minor >= needed)
    return "";
  auto spelled = [](unsigned version) { return std::to_string(version / 10) + "." + std::to_string(version % 10); };
  return "the assembler '" + ptxas.str() + "' is of CUDA " + spelled(10 * major + minor) + "; PTX " +
         spelled(facts.ptx) + " needs " + spelled(needed);
}

llvm::Error qcc::assemblePtx(StringRef ptxas, const DeviceFacts &facts, llvm::ArrayRef<char> ptx,
                             llvm::SmallVectorImpl<char> &cubin) {
  llvm::SmallString<128> from, to;
  std::error_code error = llvm::sys::fs::createTemporaryFile("kernels", "ptx", from);
  llvm::FileRemover removeFrom(from);
  if (!error)
    error = llvm::sys::fs::createTemporaryFile("kernels", "cubin", to);
  llvm::FileRemover removeTo(to);
  if (!error) {
    llvm::raw_fd_ostream os(from, error);
    os.write(ptx.data(), ptx.size());
    os.close();
    error = os.error();
    os.clear_error();
  }
  if (error)
    return failed(ptxas, "cannot be run: " + error.message());
  std::string architecture = "-arch=" + facts.architecture;
  if (auto said = run(ptxas, {architecture, from, "-o", to}); !said)
    return said.takeError();
  auto made = llvm::MemoryBuffer::getFile(to, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!made)
    return failed(ptxas, "has written nothing: " + made.getError().message());
  cubin.assign((*made)->getBufferStart(), (*made)->getBufferEnd());
  return llvm::Error::success();
}
