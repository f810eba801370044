#include "DependencyFile.h"
#include "llvm/ADT/StringSet.h"

using namespace qcc;
using llvm::StringRef;

std::vector<std::string> qcc::filesOf(const Compilation &compilation) {
  const CompileOptions &options = compilation.options;
  std::vector<std::string> all = compilation.filesRead;
  // A program that was gone on from is read without the importer.
  if (all.empty())
    all.push_back(options.model);
  llvm::append_range(all, options.calibration);
  if (!options.recipe.empty())
    all.push_back(options.recipe);
  for (const auto &[name, file] : options.files)
    all.push_back(file);
  llvm::StringSet<> seen;
  llvm::erase_if(all, [&](const std::string &file) { return !seen.insert(file).second; });
  return all;
}

/// As GCC escapes: make and ninja both read it.
static void appendEscaped(std::string &to, StringRef path) {
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '$') {
      to += '$';
    } else if (path[i] == ' ' || path[i] == '#') {
      // Backslashes before a space would be read as escapes themselves.
      if (path[i] == ' ')
        to.append(path.take_front(i).size() - path.take_front(i).rtrim('\\').size(), '\\');
      to += '\\';
    }
    to += path[i];
  }
}

std::string qcc::dependencyRule(StringRef output, llvm::ArrayRef<std::string> files) {
  std::string rule;
  appendEscaped(rule, output);
  rule += ':';
  for (const std::string &file : files) {
    rule += " \\\n  ";
    appendEscaped(rule, file);
  }
  return rule + "\n";
}
